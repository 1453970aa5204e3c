"""Questions to a sound server, in PulseAudio's native protocol, which PipeWire speaks as well.

pcmflux captures a source by its name. Which one, and whether it still is that one, is asked here.
"""

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appliance.errors import UnavailableError

_PROTOCOL = 19
"""Old enough for every server, and new enough to tell who plays at this moment (native-common.h)."""
_COOKIE_BYTES = 256
_NOBODY = 0xFFFFFFFF
_LARGEST_PACKET = 1 << 20
_ANSWER_SECONDS = 5.0
_DESCRIPTOR = struct.Struct(">5I")
_ERROR, _REPLY, _AUTH, _SET_CLIENT_NAME = 0, 2, 8, 9
_GET_SERVER_INFO, _GET_SINK_INFO, _GET_SOURCE_INFO = 20, 21, 23
_GET_SINK_INPUTS, _GET_SOURCE_OUTPUTS, _SUSPEND_SINK = 30, 32, 70
_SUBSCRIBE, _EVENT = 35, 66
_LOAD_MODULE, _UNLOAD_MODULE = 51, 52
_SINKS, _SOURCES, _SINK_INPUTS, _SOURCE_OUTPUTS, _SERVER = 0, 1, 2, 3, 7
_KIND, _CHANGED, _REMOVED = 0x30, 0x10, 0x20
_NO_ENTITY = 5
_SINK_INPUT_FIELDS, _SOURCE_OUTPUT_FIELDS = 15, 13


@dataclass(frozen=True, slots=True)
class Source:
    """Something to record from."""

    index: int
    name: str


class Pulse:
    """One connection with one user, who asks or waits. Raises UnavailableError when the server is gone."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._tag = 0
        self._length: int | None = None
        """Of the packet whose descriptor is read and whose payload is not."""
        self._unread_event = False

    async def monitor_of_default_sink(self) -> Source | None:
        """What is being played on the default output; None where there is no output."""
        server = await self._ask(_GET_SERVER_INFO)
        if server is None or not (sink := server[5]):
            return None
        answer = await self._ask(_GET_SINK_INFO, _NOBODY, sink)
        return Source(answer[8], answer[9]) if answer and answer[9] else None

    async def source(self, name: str) -> Source | None:
        """The source called `name`."""
        answer = await self._ask(_GET_SOURCE_INFO, _NOBODY, name)
        return Source(answer[0], answer[1]) if answer else None

    async def load(self, module: str, arguments: str) -> int:
        """Have the server load a module; returns its index."""
        answer = await self._ask(_LOAD_MODULE, module, arguments)
        if not answer:
            raise UnavailableError(f"the sound server has no {module}")
        return int(answer[0])

    async def unload(self, module: int) -> None:
        """Take a module away; nothing happens where it is gone."""
        await self._ask(_UNLOAD_MODULE, module)

    async def owner_of(self, source: str) -> int | None:
        """Index of the module that made a source; None where there is no such source."""
        answer = await self._ask(_GET_SOURCE_INFO, _NOBODY, source)
        return answer[5] if answer else None

    async def recorded_by(self, pid: int) -> set[int]:
        """Indexes of the sources that a process records from."""
        outputs = _rows(await self._ask(_GET_SOURCE_OUTPUTS), _SOURCE_OUTPUT_FIELDS)
        wanted = str(pid).encode()
        return {output[4] for output in outputs if output[11].get("application.process.id") == wanted}

    async def plays(self) -> bool:
        """Whether any program plays something at this moment, be it silence."""
        inputs = _rows(await self._ask(_GET_SINK_INPUTS), _SINK_INPUT_FIELDS)
        return not all(corked for *_, corked in inputs)

    async def suspend(self, *, rest: bool) -> None:
        """All outputs stand still, or go on: who plays meanwhile waits."""
        await self._ask(_SUSPEND_SINK, _NOBODY, "", rest)

    async def watch(self, *, programs: bool = False) -> None:
        """Be told of changes from now on, by `changed`; with `programs` also of who plays."""
        facilities = [_SINKS, _SOURCES, _SOURCE_OUTPUTS, _SERVER, *([_SINK_INPUTS] if programs else [])]
        await self._ask(_SUBSCRIBE, sum(1 << facility for facility in facilities))

    async def changed(self) -> None:
        """Return once another output may be the default one, or a recording may be of something else."""
        while not self._unread_event:
            await self._read()
        self._unread_event = False

    async def _hello(self) -> None:
        await self._ask(_AUTH, _PROTOCOL, await asyncio.to_thread(_cookie))
        await self._ask(_SET_CLIENT_NAME, {"application.name": "Fanlight"})

    async def _ask(self, command: int, *arguments: int | str | bytes | dict[str, str]) -> list[Any] | None:
        """The values of the answer, None where the named thing does not exist."""
        self._tag += 1
        payload = b"".join(map(_encode, (command, self._tag, *arguments)))
        self._writer.write(_DESCRIPTOR.pack(len(payload), _NOBODY, 0, 0, 0) + payload)
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                while True:
                    kind, tag, *values = await self._read()
                    if tag == self._tag and kind in (_REPLY, _ERROR):
                        break
        except TimeoutError:
            raise UnavailableError("the sound server does not answer") from None
        if kind == _REPLY:
            return values
        if values[0] == _NO_ENTITY:
            return None
        raise UnavailableError(f"the sound server refuses us (error {values[0]} to command {command})")

    async def _read(self) -> list[Any]:
        """The values of the next packet. May be cancelled and called again."""
        try:
            if self._length is None:
                descriptor = await self._reader.readexactly(_DESCRIPTOR.size)
                self._length = _DESCRIPTOR.unpack(descriptor)[0]
                if self._length > _LARGEST_PACKET:
                    raise UnavailableError(f"the sound server sent a packet of {self._length} bytes")
            payload = await self._reader.readexactly(self._length)
        except (OSError, asyncio.IncompleteReadError) as exc:
            raise UnavailableError("the sound server ended the connection") from exc
        self._length = None
        try:
            values = _decode(payload)
            if values[0] == _EVENT:
                self._unread_event |= _matters(values[2])
        except (IndexError, KeyError, ValueError, struct.error) as exc:
            raise UnavailableError(f"the sound server sent something unreadable: {exc!r}") from exc
        return values


@contextlib.asynccontextmanager
async def connect(address: str) -> AsyncIterator[Pulse]:
    """A connection to `unix:/path` or `tcp:host:port`. Raises UnavailableError."""
    kind, _, where = address.partition(":")
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            if kind == "unix":
                streams = await asyncio.open_unix_connection(where)
                # The server has the kernel say who writes to it, but only some time after it has accepted.
                end = streams[1].get_extra_info("socket")
                end.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            else:
                host, _, port = where.rpartition(":")
                streams = await asyncio.open_connection(host.strip("[]"), int(port))
    except (FileNotFoundError, ConnectionRefusedError):
        raise UnavailableError(f"no sound server at {address}") from None
    except (OSError, ValueError) as exc:
        raise UnavailableError(f"no sound server at {address}: {exc}") from exc
    try:
        pulse = Pulse(*streams)
        await pulse._hello()
        yield pulse
    finally:
        streams[1].close()


def server_address(configured: str = "", environ: Mapping[str, str] = os.environ) -> str:
    """Where the sound server is or would be: configured, $PULSE_SERVER, the user's own, the system's."""
    named = (configured or environ.get("PULSE_SERVER", "")).split()
    if named:
        # libpulse allows a list of servers, and a machine's name in braces before each.
        address = named[0].rpartition("}")[2]
        if address.startswith("/"):
            return f"unix:{address}"
        kind, _, where = address.partition(":") if ":" in address else ("tcp", "", address)
        if kind in ("unix", "tcp", "tcp4", "tcp6"):
            return (
                f"{kind[:4].rstrip('46')}:{where}" if kind == "unix" or ":" in where else f"tcp:{where}:4713"
            )
        return f"tcp:{address}"
    runtime = environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    sockets = [Path(runtime, "pulse/native"), Path("/run/pulse/native")]
    return f"unix:{next((path for path in sockets if path.exists()), sockets[0])}"


def _matters(event: int) -> bool:
    facility, kind = event & 0x0F, event & _KIND
    if facility in (_SINKS, _SOURCES):
        return kind == _REMOVED
    return facility in (_SERVER, _SINK_INPUTS) or (facility == _SOURCE_OUTPUTS and kind == _CHANGED)


def _rows(answer: list[Any] | None, fields: int) -> list[list[Any]]:
    return [(answer or [])[at : at + fields] for at in range(0, len(answer or []), fields)]


def _cookie() -> bytes:
    home = Path.home()
    files = [home / ".config/pulse/cookie", home / ".pulse-cookie"]
    if named := os.environ.get("PULSE_COOKIE"):
        files.insert(0, Path(named))
    for file in files:
        with contextlib.suppress(OSError):
            return file.read_bytes()[:_COOKIE_BYTES].ljust(_COOKIE_BYTES, b"\0")
    return bytes(_COOKIE_BYTES)  # the server knows its own user by the socket


def _encode(value: int | str | bytes | dict[str, str]) -> bytes:
    match value:
        case bool():
            return b"1" if value else b"0"
        case int():
            return b"L" + value.to_bytes(4)
        case str():
            return b"t" + value.encode() + b"\0"
        case bytes():
            return b"x" + len(value).to_bytes(4) + value
    entries = ((key, text.encode() + b"\0") for key, text in value.items())
    return b"P" + b"".join(_encode(k) + _encode(len(v)) + _encode(v) for k, v in entries) + b"N"


def _decode(data: bytes) -> list[Any]:
    """The values of a tagstruct (tagstruct.h)."""
    values: list[Any] = []
    at = 0
    while at < len(data):
        value, at = _value(data, at)
        values.append(value)
    return values


def _value(data: bytes, at: int) -> tuple[Any, int]:
    tag, at = data[at : at + 1], at + 1
    match tag:
        case b"N":
            return None, at
        case b"0" | b"1":
            return tag == b"1", at
        case b"B":
            return data[at], at + 1
        case b"L" | b"V":
            return struct.unpack_from(">I", data, at)[0], at + 4
        case b"R" | b"U" | b"T" | b"r":
            return struct.unpack_from(">Q", data, at)[0], at + 8
        case b"a":
            return data[at : at + 6], at + 6
        case b"m":
            return data[at : at + 1 + data[at]], at + 1 + data[at]
        case b"v":
            return data[at : at + 1 + 4 * data[at]], at + 1 + 4 * data[at]
        case b"t":
            end = data.index(b"\0", at)
            return data[at:end].decode(errors="replace"), end + 1
        case b"x":
            size = struct.unpack_from(">I", data, at)[0]
            return data[at + 4 : at + 4 + size], at + 4 + size
        case b"P":
            properties: dict[str, bytes] = {}
            while True:
                key, at = _value(data, at)
                if key is None:
                    return properties, at
                _, at = _value(data, at)
                text, at = _value(data, at)
                properties[key] = text.rstrip(b"\0")
    raise ValueError(f"tag {tag!r}")
