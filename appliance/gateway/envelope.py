"""The envelope of every answer of the Anbox dialect, and FanlightError as HTTP."""

import json
from typing import Any, Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict
from pydantic_core import to_jsonable_python

from appliance.errors import (
    ConflictError,
    FanlightError,
    InvalidInputError,
    LimitExceededError,
    NoCapacityError,
    NotFoundError,
    NotSupportedError,
    RefusedError,
    UnauthorizedError,
    UnavailableError,
)

_STATUS: dict[str, int] = {
    InvalidInputError.code: 400,
    UnauthorizedError.code: 401,
    RefusedError.code: 403,
    NotFoundError.code: 404,
    NoCapacityError.code: 404,
    ConflictError.code: 409,
    LimitExceededError.code: 429,
    NotSupportedError.code: 501,
    UnavailableError.code: 503,
}


class Failure(BaseModel):
    """The body of every error."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["error"] = "error"
    status: Literal["failed"] = "failed"
    status_code: int
    error: str


def enveloped(
    metadata: dict[str, Any], kind: Literal["sync", "list", "async"], status: int
) -> dict[str, Any]:
    """The JSON Schema of what `success` (`list`: with a total) and `accepted` make of `metadata`."""
    properties: dict[str, Any] = {
        "type": {"const": "async" if kind == "async" else "sync"},
        "status": {"const": "success"},
        "status_code": {"const": status},
        "metadata": metadata,
    }
    if kind == "list":
        properties["total_size"] = {"type": "integer", "minimum": 0}
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def success(metadata: Any = None, *, status: int = 200, total: int | None = None) -> web.Response:
    """A finished call; lists carry how many there are in all."""
    body = {"type": "sync", "status": "success", "status_code": status, "metadata": metadata}
    if total is not None:
        body["total_size"] = total
    return _respond(body, status)


def accepted(metadata: Any = None, *, status: int = 202) -> web.Response:
    """A call that goes on in the background."""
    return _respond(
        {"type": "async", "status": "success", "status_code": status, "metadata": metadata}, status
    )


def failure(status: int, text: str) -> web.Response:
    """An error as every dialect of ours spells it over HTTP."""
    return _respond(Failure(status_code=status, error=text), status)


def status_of(error: FanlightError, *, conflict: int = 409) -> int:
    """The HTTP status of `error`; the Anbox dialect says 400 where others say 409."""
    return conflict if isinstance(error, ConflictError) else _STATUS.get(error.code, 500)


def plain(body: Any, *, status: int = 200) -> web.Response:
    """An answer to the viewer page: no envelope."""
    return _respond(body, status)


def _respond(body: Any, status: int) -> web.Response:
    text = json.dumps(body, default=to_jsonable_python)
    headers = {"Cache-Control": "no-store"}
    return web.Response(text=text, status=status, content_type="application/json", headers=headers)
