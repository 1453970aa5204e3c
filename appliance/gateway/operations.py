"""What a handler takes and answers, said once: it is read from, and described by, the same models."""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar

from aiohttp import web
from multidict import MultiMapping
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from appliance.errors import InvalidInputError

S = TypeVar("S")
M = TypeVar("M", bound=BaseModel)
P = ParamSpec("P")
H = TypeVar("H", bound=Callable[..., Any])
Response = Awaitable[web.StreamResponse]

_BODY_SECONDS = 30.0
"""For the 128 KiB of the largest body: who takes longer than that only holds a connection."""

Envelope = Literal["sync", "list", "async", "none"]
"""`list` is `sync` with a total; `none` is a bare body."""


def _null_is_allowed(schema: dict[str, Any]) -> None:
    for name, each in schema["properties"].items():
        if name not in schema.get("required", ()) and {"type": "null"} not in each.get("anyOf", ()):
            schema["properties"][name] = {"anyOf": [each, {"type": "null"}]}


class Body(BaseModel):
    """What a client sends; null is what it does not say, and what is not known is ignored."""

    model_config = ConfigDict(json_schema_extra=_null_is_allowed)

    @model_validator(mode="before")
    @classmethod
    def _leave_out_null(cls, data: object) -> object:
        if isinstance(data, dict):
            return {name: value for name, value in data.items() if value is not None}
        return data


@dataclass(frozen=True, slots=True)
class Answer:
    """A success: `content` is the type of its metadata, or of the body where there is no envelope."""

    content: Any = None
    envelope: Envelope = "sync"
    media: str = "application/json"
    names: str = ""
    """The path of what was made: `{id}` there is the `id` of the answer."""


@dataclass(slots=True)
class Operation:
    """All that is known of a handler beyond its path, method and docstring."""

    body: type[BaseModel] | None = None
    text: str = ""
    """The media type of a body that is read as text."""
    query: type[BaseModel] | None = None
    answers: dict[int, Answer] = field(default_factory=dict)
    errors: set[int] = field(default_factory=set)
    more_for_known: bool = False
    """Anybody may call, and who has a token learns more."""


def operation_of(handler: Callable[..., Any]) -> Operation:
    """What is known of `handler`; empty where nothing was said."""
    found: Operation = handler.__dict__.setdefault("operation", Operation())
    return found


def answers(
    status: int,
    content: Any = None,
    envelope: Envelope = "sync",
    *,
    media: str = "application/json",
    names: str = "",
) -> Callable[[H], H]:
    """Mark a handler as one that succeeds with `status`."""

    def mark(handler: H) -> H:
        operation_of(handler).answers[status] = Answer(content, envelope, media, names)
        return handler

    return mark


def fails(*statuses: int) -> Callable[[H], H]:
    """Mark a handler as one that may fail so, beyond what every call may."""

    def mark(handler: H) -> H:
        operation_of(handler).errors.update(statuses)
        return handler

    return mark


def tells_more(handler: H) -> H:
    """Mark a public handler that tells more to whom it knows."""
    operation_of(handler).more_for_known = True
    return handler


def takes(
    model: type[M],
) -> Callable[
    [Callable[Concatenate[S, web.Request, M, P], Response]],
    Callable[Concatenate[S, web.Request, P], Response],
]:
    """Read the JSON body as `model`, the handler's next argument; an empty one counts as `{}`."""

    def mark(
        handler: Callable[Concatenate[S, web.Request, M, P], Response],
    ) -> Callable[Concatenate[S, web.Request, P], Response]:
        @functools.wraps(handler)
        async def reading(
            self: S, request: web.Request, /, *args: P.args, **kwargs: P.kwargs
        ) -> web.StreamResponse:
            return await handler(self, request, read_body(model, await body_of(request)), *args, **kwargs)

        operation_of(reading).body = model
        return reading

    return mark


def reads(
    media: str,
) -> Callable[
    [Callable[Concatenate[S, web.Request, str, P], Response]],
    Callable[Concatenate[S, web.Request, P], Response],
]:
    """Read the body, which must be of the type `media`, as the handler's next argument."""

    def mark(
        handler: Callable[Concatenate[S, web.Request, str, P], Response],
    ) -> Callable[Concatenate[S, web.Request, P], Response]:
        @functools.wraps(handler)
        async def reading(
            self: S, request: web.Request, /, *args: P.args, **kwargs: P.kwargs
        ) -> web.StreamResponse:
            if request.content_type != media:
                raise web.HTTPUnsupportedMediaType(reason=f"the body must be {media}")
            try:
                text = (await body_of(request)).decode()
            except UnicodeDecodeError:
                raise InvalidInputError("the body is not UTF-8") from None
            return await handler(self, request, text, *args, **kwargs)

        operation_of(reading).text = media
        return fails(408, 413, 415)(reading)

    return mark


def asks(
    model: type[M],
) -> Callable[
    [Callable[Concatenate[S, web.Request, M, P], Response]],
    Callable[Concatenate[S, web.Request, P], Response],
]:
    """Read the query as `model`, the handler's next argument; what it does not know is ignored."""

    def mark(
        handler: Callable[Concatenate[S, web.Request, M, P], Response],
    ) -> Callable[Concatenate[S, web.Request, P], Response]:
        @functools.wraps(handler)
        async def reading(
            self: S, request: web.Request, /, *args: P.args, **kwargs: P.kwargs
        ) -> web.StreamResponse:
            return await handler(self, request, read_query(model, request.query), *args, **kwargs)

        operation_of(reading).query = model
        return reading

    return mark


async def body_of(request: web.Request) -> bytes:
    """Raises InvalidInputError where it is not what the headers say, HTTPRequestTimeout where it is slow."""
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            return await request.read()
    except TimeoutError:
        raise web.HTTPRequestTimeout(reason="the body does not come") from None
    except (web.RequestPayloadError, ConnectionError):
        raise InvalidInputError("the body is not what the headers say") from None


def read_body(model: type[M], raw: bytes) -> M:
    """Raises InvalidInputError naming the field."""
    try:
        return model.model_validate_json(raw if raw.strip() else b"{}", strict=True)
    except ValidationError as exc:
        raise InvalidInputError(_fault(exc)) from None


def read_query(model: type[M], query: MultiMapping[str]) -> M:
    """Raises InvalidInputError naming the parameter; one that is there twice has no value."""
    given: dict[str, Any] = {}
    for key in query:
        values = query.getall(key)
        given[key] = values[0] if len(values) == 1 else values
    try:
        return model.model_validate(given)
    except ValidationError as exc:
        raise InvalidInputError(_fault(exc)) from None


def _fault(exc: ValidationError) -> str:
    first = exc.errors(include_url=False, include_input=False)[0]
    reason = first["msg"].removeprefix("Value error, ")
    if first["type"] == "json_invalid":
        return f"the body is not JSON: {reason}"
    return f"{'.'.join(str(part) for part in first['loc']) or 'body'}: {reason}"
