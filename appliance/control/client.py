"""The other end of the control socket, for the CLI and the TUI."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from appliance.control.schema import Model
from appliance.control.snapshot import Snapshot
from appliance.errors import FanlightError, RefusedError, UnavailableError, from_code

_LINE_BYTES = 16 << 20
_CONNECT_SECONDS = 5
_SILENCE_SECONDS = 5  # ten periods of the server's 2 Hz

M = TypeVar("M", bound=BaseModel)


class ControlUnreachableError(UnavailableError):
    """No daemon answers on the control socket."""


class ControlClient:
    """Calls the daemon that listens at `path`. Errors of the daemon are raised here as they were there."""

    def __init__(self, path: Path, *, timeout_s: float = 30.0) -> None:
        self._path = path
        self._timeout_s = timeout_s

    async def call(self, method: str, params: Model | None, reply: type[M]) -> M:
        """Call `method`. Raises ControlUnreachableError, or the error that the daemon answered with."""
        async with self._connection() as (reader, writer):
            writer.write(_request(method, params))
            answer = await self._read(reader, self._timeout_s)
            return self._parse(answer.get("result"), reply)

    async def watch(self) -> AsyncIterator[Snapshot]:
        """Yield the state at 2 Hz and on change. Raises ControlUnreachableError when the daemon goes."""
        async with self._connection() as (reader, writer):
            writer.write(_request("watch", None))
            first = await self._read(reader, _SILENCE_SECONDS)
            yield self._parse(first.get("result"), Snapshot)
            while True:
                pushed = await self._read(reader, _SILENCE_SECONDS)
                yield self._parse(pushed.get("params"), Snapshot)

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                reader, writer = await asyncio.open_unix_connection(str(self._path), limit=_LINE_BYTES)
        except PermissionError as exc:
            raise RefusedError(f"{self._path}: be root or a member of the group fanlight") from exc
        except (OSError, TimeoutError) as exc:
            raise ControlUnreachableError(f"no daemon answers at {self._path}") from exc
        try:
            yield reader, writer
        finally:
            writer.transport.abort()

    async def _read(self, reader: asyncio.StreamReader, timeout_s: float) -> dict[str, Any]:
        try:
            async with asyncio.timeout(timeout_s):
                line = await reader.readline()
        except TimeoutError as exc:
            raise ControlUnreachableError(f"the daemon at {self._path} does not answer") from exc
        except OSError as exc:
            raise ControlUnreachableError(f"the daemon at {self._path} hung up") from exc
        if not line:
            raise ControlUnreachableError(f"the daemon at {self._path} hung up")
        try:
            body = json.loads(line)
        except ValueError as exc:
            raise UnavailableError(f"{self._path} answered with something else than JSON") from exc
        if error := body.get("error"):
            code = (error.get("data") or {}).get("code", FanlightError.code)
            raise from_code(code, error.get("message", "the daemon gave no reason"))
        return dict(body)

    def _parse(self, body: Any, model: type[M]) -> M:
        try:
            return model.model_validate(body)
        except ValidationError as exc:
            reason = exc.errors(include_url=False, include_input=False)[0]["msg"]
            text = f"{self._path}: {model.__name__}: {reason}; daemon and client differ in version"
            raise UnavailableError(text) from exc


def _request(method: str, params: Model | None) -> bytes:
    body: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": method}
    if params is not None:
        body["params"] = params.model_dump(mode="json")
    return json.dumps(body).encode() + b"\n"
