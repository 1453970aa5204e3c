"""Named data channels of viewers, each of which ends in a unix socket beside the instance.

Whoever connects to `webrtc_data_<name>` gets what clients send on channel `<name>`, and what it writes is
sent to all of them: bytes both ways, without frames. The socket is there from the first channel on. The
connection ends when the last channel of the name is closed; one that is made earlier waits for the next.
"""

import asyncio
import contextlib
import functools
import logging
import re
import socket
from collections.abc import Callable
from pathlib import Path

from aiortc import RTCDataChannel
from aiortc.exceptions import InvalidStateError

from appliance.errors import InvalidInputError, LimitExceededError, UnavailableError

logger = logging.getLogger(__name__)

PREFIX = "webrtc_data_"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}")
"""Short, since the path of a unix socket has 107 bytes at most (unix(7))."""
_OUTLETS_MAX = 16
_OF_ONE_VIEWER = 5
"""As many as the SDK of the Anbox dialect makes."""
_CHUNK_BYTES = 16384
_HELD_BYTES_MAX = 1 << 20
_OF_EACH_BYTES = 64  # what one costs us beside what is in it
"""For applications that are not there yet, or read slowly; more ends the connection."""
_FULL_BYTES, _LOW_BYTES = 1 << 18, 1 << 16
"""The fastest client sets the pace of the application..."""
_BEHIND_BYTES_MAX = 1 << 22
"""...and who is so far behind the fastest is cut off: nothing is left out in between."""

May = Callable[[], bool]


class Channels:
    """All named channels of an instance, whose sockets are in `directory`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._outlets: dict[str, Outlet] = {}
        self._group: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Serve the sockets until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            await asyncio.get_running_loop().create_future()

    def open(self, channel: RTCDataChannel, may: May) -> Callable[[], None]:
        """Connect `channel` for as long as it is open and its viewer `may`; returns what ends it.

        Raises InvalidInputError (name), LimitExceededError, UnavailableError.
        """
        name = channel.label
        if not _NAME.fullmatch(name):
            raise InvalidInputError(f"data channel: {name[:64]!r} cannot be a name here")
        if self._group is None:
            raise UnavailableError("data channels are not served yet")
        if name not in self._outlets:
            if len(self._outlets) >= _OUTLETS_MAX:
                raise LimitExceededError(f"data channel: more than {_OUTLETS_MAX} names")
            self._outlets[name] = Outlet(self._directory / f"{PREFIX}{name}")
            self._group.create_task(self._serve(name, self._outlets[name]))
        self._outlets[name].attach(channel, may)
        return functools.partial(self._outlets[name].detach, channel)

    async def _serve(self, name: str, outlet: "Outlet") -> None:
        try:
            await outlet.run()
        except* OSError as group:
            logger.warning("data channel %s: %s", name, group.exceptions[0])
            outlet.close()
            del self._outlets[name]


class NamedChannels:
    """Those of one viewer: while it `may` control the application it may also speak with it."""

    def __init__(self, channels: Channels | None, may: May) -> None:
        self._channels = channels
        self._may = may
        self._ends: list[Callable[[], None]] = []

    def open(self, channel: RTCDataChannel) -> None:
        """Connect `channel`, or leave it without an end. Raises as Channels.open does."""
        if self._channels and self._may() and len(self._ends) < _OF_ONE_VIEWER:
            self._ends.append(self._channels.open(channel, self._may))

    def close(self) -> None:
        """End all of them."""
        for end in self._ends:
            end()
        self._ends.clear()


def _listen(listener: socket.socket, path: Path) -> None:
    """Its name is there only once it listens: an application that waits for that connects at once. Blocks."""
    unready = path.with_name(f"{path.name.removeprefix(PREFIX)}~")
    unready.unlink(missing_ok=True)
    listener.bind(str(unready))
    listener.listen()
    unready.rename(path)


class Outlet:
    """One name: channels of viewers on one side, connections of applications on the other."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._viewers: dict[RTCDataChannel, May] = {}
        self._applications: set[asyncio.StreamWriter] = set()
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._room = asyncio.Event()

    async def run(self) -> None:
        """Let applications connect until cancelled. Raises OSError."""
        with socket.socket(socket.AF_UNIX) as listener:
            await asyncio.to_thread(_listen, listener, self._path)
            await self._accept(listener)

    async def _accept(self, listener: socket.socket) -> None:
        async with asyncio.TaskGroup() as group:
            server = await asyncio.start_unix_server(
                lambda reader, writer: group.create_task(self._serve(reader, writer)), sock=listener
            )
            async with server:
                logger.info("applications connect to %s", self._path)
                await asyncio.get_running_loop().create_future()

    def attach(self, channel: RTCDataChannel, may: May) -> None:
        """One viewer more."""
        self._viewers[channel] = may
        channel.bufferedAmountLowThreshold = _LOW_BYTES
        channel.on("bufferedamountlow", self._room.set)
        channel.on("message", functools.partial(self._heard, channel))
        channel.on("close", functools.partial(self.detach, channel))
        self._room.set()

    def detach(self, channel: RTCDataChannel) -> None:
        """It is closed; nothing happens if it was before."""
        if self._viewers.pop(channel, None) and not self._viewers:
            self._forget()
            for each in self._applications:
                each.close()
            self._applications.clear()
            self._room.set()

    def close(self) -> None:
        """End the channels of all viewers."""
        for channel in list(self._viewers):
            self._cut_off(channel, "it cannot be served")

    def _heard(self, channel: RTCDataChannel, message: str | bytes) -> None:
        if not self._viewers.get(channel, bool)():
            return
        data = message.encode() if isinstance(message, str) else message
        if not self._applications:
            self._held.append(data)
            self._held_bytes += len(data) + _OF_EACH_BYTES
            if self._held_bytes > _HELD_BYTES_MAX:
                self._cut_off(channel, "no application reads it")
        for each in list(self._applications):
            each.write(data)
            if each.transport.get_write_buffer_size() > _HELD_BYTES_MAX:
                logger.warning("%s: an application reads too slowly", self._path.name)
                each.transport.abort()

    def _forget(self) -> None:
        self._held.clear()
        self._held_bytes = 0

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One application, until it or the last viewer leaves."""
        self._applications.add(writer)
        writer.writelines(self._held)
        self._forget()
        try:
            while data := await reader.read(_CHUNK_BYTES):
                await self._until_somebody_takes_more(writer)
                if writer not in self._applications:
                    return  # who comes next shall not get what was meant for who left
                for channel, may in list(self._viewers.items()):
                    if may():
                        self._send(channel, data)
        except ConnectionError as exc:
            logger.debug("%s: %s", self._path.name, exc)
        finally:
            self._applications.discard(writer)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _until_somebody_takes_more(self, writer: asyncio.StreamWriter) -> None:
        while writer in self._applications and not any(
            each.bufferedAmount < _FULL_BYTES for each in self._viewers
        ):
            self._room.clear()
            await self._room.wait()

    def _send(self, channel: RTCDataChannel, data: bytes) -> None:
        try:
            channel.send(data)
        except InvalidStateError as exc:
            logger.debug("%s: %s", self._path.name, exc)
        if channel.bufferedAmount > _BEHIND_BYTES_MAX:
            self._cut_off(channel, "it is too far behind the others")

    def _cut_off(self, channel: RTCDataChannel, why: str) -> None:
        logger.warning("data channel %s is closed: %s", channel.label, why)
        self.detach(channel)
        channel.close()
