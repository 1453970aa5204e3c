"""Query parameters of list calls."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from aiohttp import web

from appliance.errors import InvalidInputError

T = TypeVar("T")
_TRUE, _FALSE = ("1", "true"), ("", "0", "false")


@dataclass(frozen=True, slots=True)
class Page:
    """The part of a list that is asked for; `whole` objects or only their ids."""

    limit: int
    offset: int
    whole: bool

    @classmethod
    def of(cls, request: web.Request) -> "Page":
        """Raises InvalidInputError."""
        whole = flag(request, "recursion") or flag(request, "recursive")
        return cls(_natural(request, "limit"), _natural(request, "offset"), whole)

    def cut(self, items: Sequence[T]) -> Sequence[T]:
        """`limit` items from `offset` on; no limit where it is 0."""
        return items[self.offset : self.offset + self.limit if self.limit else None]


def flag(request: web.Request, name: str) -> bool:
    """A boolean parameter, false by default. Raises InvalidInputError."""
    value = request.query.get(name, "").lower()
    if value not in _TRUE + _FALSE:
        raise InvalidInputError(f"{name}: true or false, not {value!r}")
    return value in _TRUE


def _natural(request: web.Request, name: str) -> int:
    value = request.query.get(name, "0")
    if not (value.isascii() and value.isdigit() and len(value) < 10):
        raise InvalidInputError(f"{name}: a number from 0 on, not {value!r}")
    return int(value)
