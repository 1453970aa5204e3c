"""The envelope of every answer of the Anbox dialect, and FanlightError as HTTP."""

from typing import Any

from aiohttp import web

from appliance.errors import (
    ConflictError,
    FanlightError,
    InvalidInputError,
    LimitExceededError,
    NoCapacityError,
    NotFoundError,
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
    UnavailableError.code: 503,
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
    return _respond({"type": "error", "status": "failed", "status_code": status, "error": text}, status)


def status_of(error: FanlightError, *, conflict: int = 409) -> int:
    """The HTTP status of `error`; the Anbox dialect says 400 where others say 409."""
    return conflict if isinstance(error, ConflictError) else _STATUS.get(error.code, 500)


def plain(body: dict[str, Any], *, status: int = 200) -> web.Response:
    """An answer to the viewer page: no envelope."""
    return _respond(body, status)


def _respond(body: dict[str, Any], status: int) -> web.Response:
    return web.json_response(body, status=status, headers={"Cache-Control": "no-store"})
