"""Holds answers of the gateway against its own `/openapi.json`."""

import json
import re
from types import SimpleNamespace
from typing import Any

import aiohttp
import jsonschema_rs

_SOCKET = 101
_ANSWERED_BEFORE_THE_ROUTE = {401, 403, 404, 405, 429}


class Described:
    """The document of one gateway."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self._paths = {path: _pattern(path) for path in document["paths"]}
        self._failure = self._validator({"$ref": "#/components/schemas/Failure"})

    def operation(self, method: str, path: str) -> dict[str, Any] | None:
        """The call as it is described, whatever the spelling of its path."""
        plain = re.sub(r"^/1\.0/session/", "/1.0/sessions/", path).rstrip("/") or "/"
        for template, pattern in self._paths.items():
            if pattern.fullmatch(plain):
                found: dict[str, Any] | None = self.document["paths"][template].get(method.lower())
                return found
        return None

    def check(self, method: str, path: str, status: int, kind: str, body: bytes) -> None:
        """Raises AssertionError for an answer that is not described."""
        operation = self.operation(method, path)
        if operation is None or str(status) not in operation["responses"]:
            assert status in _ANSWERED_BEFORE_THE_ROUTE, f"{method} {path}: {status} is not described"
            self._failure.validate(json.loads(body))
            return
        content = operation["responses"][str(status)].get("content", {})
        if not content:
            assert not body, f"{method} {path}: {status} has a body"
        elif "*/*" not in content:
            assert kind in content, f"{method} {path}: {status} is {kind}"
            if kind == "application/json":
                self._validator(content[kind]["schema"]).validate(json.loads(body))

    def _validator(self, schema: dict[str, Any]) -> Any:
        return jsonschema_rs.validator_for({**schema, "components": self.document["components"]})

    def trace(self) -> aiohttp.TraceConfig:
        """Checks every answer that a client session gets."""

        async def ended(_: Any, __: SimpleNamespace, end: aiohttp.TraceRequestEndParams) -> None:
            answer = end.response
            if end.method not in ("OPTIONS", "HEAD") and answer.status != _SOCKET:
                kind = answer.content_type
                self.check(end.method, end.url.path, answer.status, kind, await answer.read())

        config = aiohttp.TraceConfig()
        config.on_request_end.append(ended)
        return config


def _pattern(template: str) -> re.Pattern[str]:
    if template == "/{name}":
        return re.compile(r"/(?!1\.0/|fanlight/).+")
    return re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template)))
