"""The envelope of every answer of the AMS dialect; it is not that of the gateway's."""

import json
from typing import Any, Literal

from aiohttp import hdrs, web
from pydantic import BaseModel, ConfigDict
from pydantic_core import to_jsonable_python

OPERATIONS = "/1.0/operations"
_BEGUN = 100


class Failure(BaseModel):
    """The body of every error."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["error"] = "error"
    error: str
    error_code: int


def enveloped(
    metadata: dict[str, Any], kind: Literal["sync", "list", "async"], status: int
) -> dict[str, Any]:
    """The JSON Schema of what `success` and `begun` make of `metadata`."""
    properties: dict[str, Any] = {"type": {"const": "async" if kind == "async" else "sync"}}
    if kind == "async":
        properties |= {"status": {"const": "OK"}, "status_code": {"const": _BEGUN}}
        properties["operation"] = {"type": "string"}
    else:
        properties |= {"status": {"const": "Success"}, "status_code": {"const": status}}
    properties["metadata"] = metadata
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def success(metadata: Any = None) -> web.Response:
    """A finished call."""
    return respond({"type": "sync", "status": "Success", "status_code": 200, "metadata": metadata}, 200)


def begun(operation: str, metadata: Any) -> web.Response:
    """A call that goes on as `operation`."""
    where = f"{OPERATIONS}/{operation}"
    body = {"type": "async", "status": "OK", "status_code": _BEGUN, "operation": where, "metadata": metadata}
    response = respond(body, 202)
    response.headers[hdrs.LOCATION] = where
    return response


def failure(status: int, text: str) -> web.Response:
    """An error."""
    return respond(Failure(error=text, error_code=status), status)


def respond(body: Any, status: int) -> web.Response:
    """JSON that nobody may keep."""
    text = json.dumps(body, default=to_jsonable_python)
    headers = {hdrs.CACHE_CONTROL: "no-store"}
    return web.Response(text=text, status=status, content_type="application/json", headers=headers)
