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
from collections.abc import AsyncIterator, Callable, Iterable, Sequence

from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from appliance.errors import UnavailableError
from appliance.processes import Child, child, our_module

RECEIVERS = "appliance.bench.receivers"
_SECONDS = 20.0
_SO_ATTACH_FILTER = 26
_UDP_GRO = 104  # linux/udp.h
_LOAD_BYTE, _LOAD_HALF, _LOAD_WORD = 0x30, 0x28, 0x20
_AT_LEAST, _ANY_BIT, _GIVE = 0x35, 0x45, 0x06
_RANDOM = 0xFFFFF000 + 56  # SKF_AD_OFF + SKF_AD_RANDOM of linux/filter.h
_FIRST, _SECOND, _SEQUENCE = 8, 9, 10  # of RTP; the filter sees the header of UDP first, 8 bytes
_PADDED, _LEAST_MARKED = 0x20, 0x80 | 96

Step = tuple[int, int, int, int]
"""Of a classic BPF program: code, jump if true, jump if false, operand."""


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


async def receive(drop: Callable[[Iterable[socket.socket]], None] | None = None) -> None:
    """Until standard input ends; `drop` has the kernel drop pictures, all of them if it is None."""
    drop = drop or deafen
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
        drop(udp_sockets())
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


def deafen(sockets: Iterable[socket.socket]) -> None:
    """From now on the kernel drops RTP, and cuts up no runs for it first: that is no work of the sender's."""
    sockets = tuple(sockets)
    once_more = [each.dup() for each in sockets]
    lose(1.0, sockets)  # first: nobody who reads such a run whole would know what it is
    for each in once_more:
        each.setsockopt(socket.SOL_UDP, _UDP_GRO, 1)
        each.close()


def lose(share: float, sockets: Iterable[socket.socket]) -> None:
    """From now on the kernel drops this share of RTP on its way in, and lets STUN, DTLS and RTCP through."""
    threshold = min(int(share * (1 << 32)), (1 << 32) - 1)
    _filter([(_LOAD_WORD, 0, 0, _RANDOM), (_AT_LEAST, 0, 1, threshold)], sockets)


def thin(every: int, sockets: Iterable[socket.socket]) -> None:
    """The same, but each frame's end comes through, padding, and one packet in `every`, a power of two."""
    steps = [
        (_LOAD_BYTE, 0, 0, _FIRST), (_ANY_BIT, 4, 0, _PADDED),
        (_LOAD_BYTE, 0, 0, _SECOND), (_AT_LEAST, 2, 0, _LEAST_MARKED),
        (_LOAD_HALF, 0, 0, _SEQUENCE), (_ANY_BIT, 1, 0, every - 1),
    ]  # fmt: skip
    _filter(steps, sockets)


def _filter(rtp: Sequence[Step], sockets: Iterable[socket.socket]) -> None:
    """What falls through `rtp` is let through, and what jumps over one step there is dropped."""
    let = len(rtp)
    # Below 128 are STUN and DTLS; 192 to 223 is RTCP (RFC 5761).
    program = [
        (_LOAD_BYTE, 0, 0, _FIRST), (_AT_LEAST, 0, 4 + let, 128), (_AT_LEAST, 3 + let, 0, 192),
        (_LOAD_BYTE, 0, 0, _SECOND), (_AT_LEAST, 0, 1, 192), (_AT_LEAST, 0, let, 224),
        *rtp, (_GIVE, 0, 0, 0xFFFF), (_GIVE, 0, 0, 0),
    ]  # fmt: skip
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in program))
    packed = struct.pack("@HP", len(program), ctypes.addressof(code))
    for each in sockets:
        each.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, packed)
        each.close()


if __name__ == "__main__":
    asyncio.run(receive())
