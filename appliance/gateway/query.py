"""Query parameters, as models: what a call understands is what `/openapi.json` tells of it."""

from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from appliance.bus.messages import SessionStatus

T = TypeVar("T")
_TRUE, _FALSE = ("1", "true", "True", "TRUE"), ("", "0", "false", "False", "FALSE")
_LARGEST = 999_999_999


def _flag(value: object) -> bool:
    if value not in _TRUE + _FALSE:
        raise ValueError(f"true or false, not {value!r}")
    return value in _TRUE


def _digits(value: object) -> object:
    if not (isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10):
        raise ValueError(f"a number from 0 on, not {value!r}")
    return int(value)


Flag = Annotated[
    bool, BeforeValidator(_flag), WithJsonSchema({"type": "string", "enum": [*_TRUE[::-1], *_FALSE[::-1]]})
]
Natural = Annotated[
    int, BeforeValidator(_digits), WithJsonSchema({"type": "integer", "minimum": 0, "maximum": _LARGEST})
]


class Query(BaseModel):
    """Base of all queries; what they do not know is ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Listing(Query):
    """The part of a list that is asked for: `limit` items from `offset` on, no limit where it is 0."""

    limit: Natural = 0
    offset: Natural = 0
    recursion: Flag = Field(False, description="whole objects instead of ids")
    recursive: Flag = Field(False, description="the older word for recursion")
    sort_order: Literal["asc", "desc"] = "asc"

    @property
    def whole(self) -> bool:
        """Objects instead of ids."""
        return self.recursion or self.recursive

    def cut(self, items: Iterable[T], key: Callable[[T], Any]) -> Sequence[T]:
        """The part, ordered by `key`."""
        found = sorted(items, key=key, reverse=self.sort_order == "desc")
        return found[self.offset : self.offset + self.limit if self.limit else None]


class SessionsQuery(Listing):
    """Which sessions, and in which order."""

    status: SessionStatus | None = None
    sort_by: Literal["id", "app", "region", "status", "created_at"] = "created_at"


class SharesQuery(Listing):
    """Which shares, and in which order."""

    session_id: str | None = None
    sort_by: Literal["id", "session_id", "type", "created_at", "expiry_at"] = "created_at"


class EndQuery(Query):
    """How a session is to end."""

    force: Flag = Field(False, description="even where its agent does not answer")
    sync: Flag = Field(False, description="answer once it has ended")


class ConnectQuery(Query):
    """What a share link carries."""

    type: Literal["adb", "view", "control"]
