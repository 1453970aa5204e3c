"""What one packet to one viewer costs: our fan-out and aiortc's own sender, by turns in one process.

Synthetic frames, no capture and no encoder. The receivers are aiortc in a process of their own; once they
are connected a filter in the kernel drops the picture, so that only the sender counts.
"""

import asyncio
import contextlib
import ctypes
import json
import socket
import statistics
import struct
import sys
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from appliance.signaling.anbox import Settings
from appliance.streamer.broadcast import Broadcast
from appliance.streamer.connection import MediaConnection, Sources
from appliance.streamer.frames import VIDEO_CLOCK, Codec, EncodedFrame, SourceInfo
from appliance.streamer.tracks import SoundFan
from tests.support.box import ROOT

FPS = 30
SYSTEMS = {"fanlight": True, "aiortc": False}
_WARM_UP_S = 2
_SO_ATTACH_FILTER = 26
_LINE_BYTES = 1 << 20


class Frames:
    """Slices of random bytes at a constant rate."""

    info = SourceInfo("synthetic", "none", "", False, Codec.H264, 1920, 1080)

    def __init__(self, kbps: int) -> None:
        size = kbps * 125 // FPS
        self._data = b"\0\0\0\1\x65" + bytes(1 + number * 7919 % 251 for number in range(size))

    async def run(self, deliver: Callable[[EncodedFrame], None], started: asyncio.Event) -> None:
        started.set()
        began, number = time.monotonic(), 0
        while True:
            now = time.monotonic_ns()
            deliver(EncodedFrame(self._data, True, number * VIDEO_CLOCK // FPS, now, now, now))
            number += 1
            await asyncio.sleep(max(0, began + number / FPS - time.monotonic()))

    def request_keyframe(self) -> None:
        """All of them are."""

    def set_bitrate(self, kbps: int) -> None:
        """It is constant."""


async def compare(viewers: list[int], kbps: int, seconds: float, runs: int) -> dict[str, dict[int, Any]]:
    """By system and number of viewers: medians of us_per_packet, percent of a core per viewer, packets/s."""
    found: dict[str, dict[int, list[dict[str, float]]]] = {system: {} for system in SYSTEMS}
    for _ in range(runs):
        for count in viewers:
            for system, own_packets in SYSTEMS.items():
                row = await measure(count, kbps, seconds, own_packets=own_packets)
                found[system].setdefault(count, []).append(row)
    return {
        system: {
            count: {key: statistics.median(row[key] for row in rows) for key in rows[0]}
            for count, rows in table.items()
        }
        for system, table in found.items()
    }


async def measure(viewers: int, kbps: int, seconds: float, *, own_packets: bool) -> dict[str, float]:
    """CPU time of this process, all of it, while it serves `viewers`."""
    frames = Frames(kbps)
    broadcast = Broadcast(lambda: frames)
    sources = Sources({Codec.H264: broadcast}, SoundFan(), own_packets=own_packets)
    async with receivers() as connect, asyncio.TaskGroup() as group:
        running = group.create_task(broadcast.run())
        connections = [await connect(sources) for _ in range(viewers)]
        await asyncio.sleep(_WARM_UP_S)
        packets, cpu, began = await _packets(connections), time.process_time(), time.monotonic()
        await asyncio.sleep(seconds)
        cpu, elapsed = time.process_time() - cpu, time.monotonic() - began
        packets = await _packets(connections) - packets
        for connection in connections:
            await connection.close()
        running.cancel()
    return {
        "us_per_packet": 1e6 * cpu / packets,
        "percent_per_viewer": 100 * cpu / elapsed / viewers,
        "packets_per_s": packets / elapsed,
    }


@contextlib.asynccontextmanager
async def receivers(
    settings: Settings = Settings(enable_speaker=False),  # noqa: B008
) -> AsyncIterator[Callable[[Sources], Any]]:
    """A process of receivers; what it yields connects one more."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.packets", cwd=ROOT, limit=_LINE_BYTES,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin
    assert process.stdout
    stdin, stdout = process.stdin, process.stdout

    async def connect(sources: Sources) -> MediaConnection:
        connected = asyncio.Event()
        ours = MediaConnection(
            sources,
            [],
            changed=lambda state: state == "connected" and connected.set(),
            channel=lambda _: None,
        )
        stdin.write(json.dumps(await ours.offer(settings)).encode() + b"\n")
        await ours.take_answer(json.loads(await stdout.readline()))
        await connected.wait()
        await stdout.readline()
        return ours

    try:
        yield connect
    finally:
        process.terminate()
        await process.wait()


async def _packets(connections: list[MediaConnection]) -> int:
    total = 0
    for connection in connections:
        assert connection._video
        stats = await connection._video.sender.getStats()
        total += sum(each.packetsSent for each in stats.values() if each.type == "outbound-rtp")
    return total


async def receive() -> None:
    """An offer a line in; an answer out, and an empty line once connected and deaf."""
    peers = []
    while line := await asyncio.to_thread(sys.stdin.buffer.readline):
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        peers.append(peer)
        connected = asyncio.Event()
        peer.on(
            "connectionstatechange",
            lambda peer=peer, connected=connected: peer.connectionState == "connected" and connected.set(),
        )
        await peer.setRemoteDescription(RTCSessionDescription(json.loads(line), "offer"))
        await peer.setLocalDescription(await peer.createAnswer())
        print(json.dumps(peer.localDescription.sdp), flush=True)
        await connected.wait()
        for protocol in peer.getTransceivers()[0].receiver.transport.transport._connection._protocols:
            drop_pictures(protocol.transport.get_extra_info("socket"))
        print(flush=True)


def drop_pictures(found: Any) -> None:
    """Let STUN, DTLS and RTCP through this UDP socket, not RTP. The program sees the header of UDP first."""
    load, at_least, give = 0x30, 0x35, 0x06
    program = [
        (load, 0, 0, 8),
        (at_least, 0, 5, 128),  # below are STUN and DTLS
        (at_least, 4, 0, 192),
        (load, 0, 0, 9),
        (at_least, 0, 1, 192),  # RTCP, RFC 5761
        (at_least, 0, 1, 224),
        (give, 0, 0, 0),
        (give, 0, 0, 0xFFFF),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in program))
    found.setsockopt(
        socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", len(program), ctypes.addressof(code))
    )


if __name__ == "__main__":
    asyncio.run(receive())
