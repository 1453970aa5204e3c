"""What an access key may do: a small IAM policy of actions and channels."""

import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from appliance.errors import InvalidInputError
from appliance.gateway.kinesis.channels import Arn

CONTROL = "fanlight:Control"
"""Our own action: whether input of a viewer with this key reaches the screen."""
_ACTION = re.compile(r"\*|(kinesisvideo|fanlight):[A-Za-z*?]+")
_RESOURCE = re.compile(r"arn:[^\s]+|[A-Za-z0-9_.*?-]+")


def _several(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Globs = Annotated[list[str], BeforeValidator(_several), Field(min_length=1, max_length=100)]


class Statement(BaseModel):
    """One rule; what IAM has beyond this (conditions, principals) is refused, not ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    Sid: str = ""
    Effect: Literal["Allow", "Deny"]
    Action: Globs
    """`kinesisvideo:<Operation>`, `kinesisvideo:ConnectAsViewer`, `fanlight:Control`, with `*` and `?`."""
    Resource: Globs
    """Globs of ARNs, or of bare channel names."""

    @field_validator("Action")
    @classmethod
    def _are_actions(cls, value: list[str]) -> list[str]:
        return _matching(_ACTION, value, 'must be like "kinesisvideo:ConnectAsViewer" or "*"')

    @field_validator("Resource")
    @classmethod
    def _are_resources(cls, value: list[str]) -> list[str]:
        return _matching(_RESOURCE, value, 'must be an ARN or a channel name, like "lobby-*"')

    def covers(self, action: str, resource: str) -> bool:
        """Whether this rule is about `action` on `resource`, an ARN or `*`."""
        arn = Arn.parse(resource)
        names = (resource, arn.name) if arn else (resource,)
        return _any(self.Action, action, ignore_case=True) and any(
            _any(self.Resource, each) for each in names
        )


class Policy(BaseModel):
    """Like an IAM policy document: everything is refused that no statement allows or one denies."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    Version: Literal["2012-10-17"] = "2012-10-17"
    Id: str = ""
    Statement: Annotated[list[Statement], Field(min_length=1, max_length=100)]

    @classmethod
    def read(cls, document: dict[str, Any]) -> "Policy":
        """Raises InvalidInputError that names the fault."""
        try:
            return cls.model_validate(document)
        except ValidationError as exc:
            first = exc.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise InvalidInputError(
                f"policy: {where}: {first['msg'].removeprefix('Value error, ')}"
            ) from None

    def allows(self, action: str, resource: str) -> bool:
        """`action` is like `kinesisvideo:ConnectAsMaster`, `resource` an ARN, or `*` for no single one."""
        effects = {each.Effect for each in self.Statement if each.covers(action, resource)}
        return effects == {"Allow"}


def _matching(pattern: re.Pattern[str], values: list[str], reason: str) -> list[str]:
    for each in values:
        if not pattern.fullmatch(each):
            raise ValueError(f"{each!r} {reason}")
    return values


def _any(globs: Iterable[str], text: str, *, ignore_case: bool = False) -> bool:
    return any(_glob(each, ignore_case=ignore_case).fullmatch(text) for each in globs)


def _glob(pattern: str, *, ignore_case: bool) -> re.Pattern[str]:
    """IAM knows `*` and `?` only; brackets mean themselves."""
    escaped = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.compile(escaped, re.DOTALL | (re.IGNORECASE if ignore_case else 0))


EVERYTHING = Policy(Statement=[Statement(Effect="Allow", Action=["*"], Resource=["*"])])
"""What a key may do that was made without a policy."""
