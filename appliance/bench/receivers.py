"""Viewers that cost next to nothing: connected by aiortc in a process of their own, deaf to the picture.

`python -m appliance.bench.receivers` is that process: an offer a line in (JSON), an answer out, and an empty
line once it is connected and a filter in the kernel drops its pictures, so that only the sender counts.
"""

import asyncio
import contextlib
import ctypes
import functools
import json
import os
import socket
import stat
import struct
import sys
from collections.abc import AsyncIterator, Iterable

from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from appliance.errors import UnavailableError
from appliance.processes import Child, child, our_module

RECEIVERS = "appliance.bench.receivers"
_SECONDS = 20.0
_SO_ATTACH_FILTER = 26
_LOAD_BYTE, _LOAD_WORD, _AT_LEAST, _GIVE = 0x30, 0x20, 0x35, 0x06
_RANDOM = 0xFFFFF000 + 56  # SKF_AD_OFF + SKF_AD_RANDOM of linux/filter.h


class Receivers:
    """The process, one negotiation at a time. Raises UnavailableError where it has ended or hangs."""

    def __init__(self, process: Child) -> None:
        self._child = process
        self._process = process.process

    async def answer(self, offer: str) -> str:
        """One viewer more; both in SDP."""
        assert self._process.stdin  # noqa: S101
        self._process.stdin.write(json.dumps(offer).encode() + b"\n")
        return str(json.loads(await self._line()))

    async def connected(self) -> None:
        """Until the newest is."""
        await self._line()

    async def _line(self) -> bytes:
        assert self._process.stdout  # noqa: S101
        try:
            async with asyncio.timeout(_SECONDS):
                line = await self._process.stdout.readline()
        except TimeoutError:
            raise UnavailableError(f"receivers: no answer within {_SECONDS:.0f} s") from None
        if not line:
            await self._child.wait()
            raise UnavailableError(f"receivers: their process ended: {self._child.last_words}")
        return line


@contextlib.asynccontextmanager
async def receivers(module: str = RECEIVERS) -> AsyncIterator[Receivers]:
    """A process of receivers, which `module` runs. Raises UnavailableError."""
    pipe = asyncio.subprocess.PIPE
    async with child(our_module(module), name="receivers", stdin=pipe, stdout=pipe) as process:
        yield Receivers(process)


async def receive(lost: float = 1.0) -> None:
    """Until standard input ends; `lost` is the share of the pictures' packets that is dropped."""
    peers = []
    while line := await asyncio.to_thread(sys.stdin.buffer.readline):
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        peers.append(peer)
        connected = asyncio.Event()
        peer.on("connectionstatechange", functools.partial(_note, peer, connected))
        await peer.setRemoteDescription(RTCSessionDescription(json.loads(line), "offer"))
        await peer.setLocalDescription(await peer.createAnswer())
        print(json.dumps(peer.localDescription.sdp), flush=True)
        await connected.wait()
        lose(lost, udp_sockets())
        print(flush=True)


def _note(peer: RTCPeerConnection, connected: asyncio.Event) -> None:
    if peer.connectionState == "connected":
        connected.set()


def udp_sockets() -> list[socket.socket]:
    """Those of this process, as duplicates."""
    found = []
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208
        with contextlib.suppress(OSError):  # the listing's own descriptor is gone
            if stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                found.append(socket.socket(fileno=os.dup(int(name))))
    others = [each for each in found if each.type != socket.SOCK_DGRAM or each.family == socket.AF_UNIX]
    for each in others:
        each.close()
    return [each for each in found if each not in others]


def lose(share: float, sockets: Iterable[socket.socket]) -> None:
    """From now on the kernel drops this share of RTP on its way in, and lets STUN, DTLS and RTCP through."""
    threshold = min(int(share * (1 << 32)), (1 << 32) - 1)
    # Sees the header of UDP first, 8 bytes. Below 128 are STUN and DTLS; 192 to 223 is RTCP (RFC 5761).
    program = [
        (_LOAD_BYTE, 0, 0, 8), (_AT_LEAST, 0, 6, 128), (_AT_LEAST, 5, 0, 192),
        (_LOAD_BYTE, 0, 0, 9), (_AT_LEAST, 0, 1, 192), (_AT_LEAST, 0, 2, 224),
        (_LOAD_WORD, 0, 0, _RANDOM), (_AT_LEAST, 0, 1, threshold),
        (_GIVE, 0, 0, 0xFFFF), (_GIVE, 0, 0, 0),
    ]  # fmt: skip
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in program))
    packed = struct.pack("@HP", len(program), ctypes.addressof(code))
    for each in sockets:
        each.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, packed)
        each.close()


if __name__ == "__main__":
    asyncio.run(receive())
