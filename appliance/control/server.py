"""The control socket: who may connect, what may be asked, and the stream of snapshots."""

import asyncio
import contextlib
import json
import logging
import re
from pathlib import Path

from pydantic import ValidationError

from appliance import audit
from appliance.control.access import Door, Peer
from appliance.control.methods import CHANGING, Controller, methods
from appliance.control.schema import (
    Model,
    RpcRequest,
)
from appliance.errors import FanlightError, InvalidInputError, LimitExceededError, RefusedError

logger = logging.getLogger(__name__)

LINE_BYTES = 1 << 20
_CONNECTIONS = 64
_PERIOD_SECONDS = 0.5
_COALESCE_SECONDS = 0.1
_BACKLOG_BYTES = 256 * 1024
_DRAIN_SECONDS = 10
_HEARING_SECONDS = 2
_HTTP = re.compile(rb"^[A-Z]+ \S+ HTTP/\d")

# JSON-RPC 2.0, section 5.1; -32000 is the first of the codes left to the server.
_PARSE, _INVALID_REQUEST, _NO_METHOD, _INVALID_PARAMS, _INTERNAL, _REFUSED_BY_US = (
    -32700,
    -32600,
    -32601,
    -32602,
    -32603,
    -32000,
)


class ControlServer:
    """Serves `controller` on the unix socket `path`."""

    def __init__(self, controller: Controller, path: Path) -> None:
        self._controller = controller
        self._path = path
        self._methods = methods(controller)
        self._connections = 0
        self._watchers: set[asyncio.StreamWriter] = set()
        self._watched = asyncio.Event()

    async def serve(self, started: asyncio.Event) -> None:
        """Listen until cancelled. Raises ConflictError where another daemon listens already."""
        door = await asyncio.to_thread(Door.open, self._path)
        try:
            async with asyncio.TaskGroup() as group:
                await self._listen(door, group, started)
        finally:
            await asyncio.to_thread(door.close)

    async def _listen(self, door: Door, group: asyncio.TaskGroup, started: asyncio.Event) -> None:
        closing = False

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if closing:
                writer.transport.abort()
                return
            # A task that is cancelled before its first step closes nothing by itself.
            task = group.create_task(self._converse(door, reader, writer), name="control connection")
            task.add_done_callback(
                lambda done: writer.transport.abort() if done.cancelled() else writer.close()
            )

        server = await asyncio.start_unix_server(accept, sock=door.listener, limit=LINE_BYTES)
        try:
            started.set()
            await self._publish()
        finally:
            closing = True
            server.close()

    async def _publish(self) -> None:
        """Push snapshots while somebody watches: at 2 Hz, and on change but never faster than 10 Hz."""
        loop = asyncio.get_running_loop()
        changed = self._controller.changed
        while True:
            await self._watched.wait()
            pushed = loop.time()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PERIOD_SECONDS):
                    await changed.wait()
            await asyncio.sleep(max(0.0, pushed + _COALESCE_SECONDS - loop.time()))
            changed.clear()
            try:
                params = self._controller.snapshot().model_dump_json()
            except Exception:
                logger.exception("control: no snapshot")
                await asyncio.sleep(_PERIOD_SECONDS)
                continue
            line = f'{{"jsonrpc":"2.0","method":"snapshot","params":{params}}}\n'.encode()
            for writer in tuple(self._watchers):
                self._push(writer, line)

    def _push(self, writer: asyncio.StreamWriter, line: bytes) -> None:
        if writer.transport.get_write_buffer_size() > _BACKLOG_BYTES:
            logger.warning("control: disconnected a listener that does not read")
            self._forget(writer)
            writer.transport.abort()
        elif not writer.is_closing():
            writer.write(line)

    def _forget(self, writer: asyncio.StreamWriter) -> None:
        self._watchers.discard(writer)
        if not self._watchers:
            self._watched.clear()

    async def _converse(self, door: Door, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        try:
            peer = Peer.of(writer.get_extra_info("socket"))
            if not door.admits(peer):
                logger.warning("control: refused uid %s (pid %s)", peer.uid, peer.pid)
                # Who is hung up on while writing does not get to read why.
                async with asyncio.timeout(_HEARING_SECONDS):
                    await _line(reader)
                raise RefusedError(f"uid {peer.uid} may not control this box: join the group fanlight")
            if self._connections > _CONNECTIONS:
                raise LimitExceededError(f"control: more than {_CONNECTIONS} connections")
            while line := await _line(reader):
                await self._answer(line, peer, writer)
                async with asyncio.timeout(_DRAIN_SECONDS):
                    await writer.drain()
        except FanlightError as exc:
            writer.write(_fault(None, _REFUSED_BY_US, exc.code, str(exc)))
        except (OSError, TimeoutError) as exc:
            logger.debug("control: connection lost: %s", exc or type(exc).__name__)
            writer.transport.abort()
        finally:
            self._connections -= 1
            self._forget(writer)

    async def _answer(self, line: bytes, peer: Peer, writer: asyncio.StreamWriter) -> None:
        """Answer one line; JSON-RPC 2.0 wants no answer to a request without id."""
        call_id: int | str | None = None
        try:
            body = json.loads(line)
            if isinstance(body, dict) and isinstance(body.get("id"), int | str):
                call_id = body["id"]
            request = RpcRequest.model_validate(body)
        except (ValueError, RecursionError) as exc:
            number = _INVALID_REQUEST if isinstance(exc, ValidationError) else _PARSE
            writer.write(_fault(call_id, number, InvalidInputError.code, _reason(exc)))
            return
        reply = await self._perform(request, peer)
        if request.id is not None:
            writer.write(reply)
            if request.method == "watch":
                self._watchers.add(writer)
                self._watched.set()

    async def _perform(self, request: RpcRequest, peer: Peer) -> bytes:
        method = self._methods.get(request.method)
        if method is None:
            text = f"unknown method {request.method[:64]!r}"
            return _fault(request.id, _NO_METHOD, InvalidInputError.code, text)
        model, act = method
        try:
            params = model.model_validate(request.params)
        except ValidationError as exc:
            text = f"{request.method}: {_reason(exc)}"
            return _fault(request.id, _INVALID_PARAMS, InvalidInputError.code, text)
        try:
            result = (await act(params)).model_dump_json()
        except FanlightError as exc:
            return _fault(request.id, _REFUSED_BY_US, exc.code, str(exc))
        except Exception:
            logger.exception("control: %s failed", request.method)
            return _fault(request.id, _INTERNAL, FanlightError.code, "internal error; the log has more")
        if request.method in CHANGING:
            logger.info("control: %s by uid %s", request.method, peer.uid)
            audit.record(request.method, by=f"uid {peer.uid}", detail=_said(params))
        head = f'{{"jsonrpc":"2.0","id":{json.dumps(request.id)},"result":'
        return f"{head}{result}}}\n".encode()


def _said(params: Model) -> str:
    """What was asked for, for the audit trail, without secrets."""
    secret = {name for name, field in type(params).model_fields.items() if not field.repr}
    shown = params.model_dump(mode="json", exclude_none=True, exclude=secret)
    return " ".join(f"{key}={value}" for key, value in shown.items())


async def _line(reader: asyncio.StreamReader) -> bytes:
    """The next line; empty at the end. Raises InvalidInputError for what can never become a request."""
    try:
        line = await reader.readline()
    except ValueError as exc:
        raise InvalidInputError(f"control: a line longer than {LINE_BYTES} bytes") from exc
    # A page in a browser must not smuggle a request in the body of its own.
    if _HTTP.match(line):
        raise RefusedError("control: this socket does not speak HTTP")
    return line


def _reason(exc: Exception) -> str:
    if not isinstance(exc, ValidationError):
        return f"not JSON: {exc}"
    first = exc.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "request"
    return f"{where}: {first['msg']}"


def _fault(call_id: int | str | None, number: int, code: str, text: str) -> bytes:
    error = {"code": number, "message": text, "data": {"code": code}}
    return json.dumps({"jsonrpc": "2.0", "id": call_id, "error": error}).encode() + b"\n"
