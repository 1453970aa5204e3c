"""What one packet to one viewer costs: our fan-out, and aiortc's own sender, by turns in this process.

Synthetic frames, no capture and no encoder; the receivers are deaf (appliance/bench/receivers.py).
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from appliance.bench.receivers import RECEIVERS, Receivers, receivers
from appliance.signaling.anbox import Settings
from appliance.streamer.broadcast import Broadcast
from appliance.streamer.connection import MediaConnection
from appliance.streamer.frames import VIDEO_CLOCK, Codec, EncodedFrame, SourceInfo
from appliance.streamer.sources import Sources
from appliance.streamer.tracks import SoundFan

FPS = 30
SYSTEMS = {"fanlight": True, "aiortc": False}
"""Name, and whether the packets are our own."""


@dataclass(frozen=True, slots=True)
class PacketCost:
    """CPU time of the sending process, all of it."""

    viewers: int
    us_per_packet: float
    percent_per_viewer: float
    """Of a core."""
    packets_per_s: float


class Frames:
    """A VideoSource of slices of random bytes at a constant rate."""

    info = SourceInfo("synthetic", "none", "", False, Codec.H264, 1920, 1080)

    def __init__(self, kbps: int) -> None:
        size = kbps * 125 // FPS
        self._data = b"\0\0\0\1\x65" + bytes(1 + number * 7919 % 251 for number in range(size))

    async def run(self, deliver: Callable[[EncodedFrame], None], started: asyncio.Event) -> None:
        """See VideoSource.run."""
        started.set()
        began, number = time.monotonic(), 0
        while True:
            now = time.monotonic_ns()
            deliver(EncodedFrame(self._data, True, number * VIDEO_CLOCK // FPS, now, now, now))
            number += 1
            await asyncio.sleep(max(0, began + number / FPS - time.monotonic()))

    def request_keyframe(self) -> None:
        """All of them are."""

    def refresh(self) -> None:
        """They come all the time."""

    def set_bitrate(self, kbps: int) -> None:
        """It is constant."""


async def measure(
    system: str, viewers: int, kbps: int, seconds: float, *, module: str = RECEIVERS, warm_up_s: float = 2.0
) -> PacketCost:
    """One run of one of SYSTEMS, `kbps` for each viewer; `module` receives. Raises UnavailableError."""
    frames = Frames(kbps)
    broadcast = Broadcast(lambda: frames)
    sources = Sources({Codec.H264: broadcast}, SoundFan(), own_packets=SYSTEMS[system])
    async with receivers(module) as process, asyncio.TaskGroup() as group:
        running = group.create_task(broadcast.run())
        connections = [await connect(sources, process) for _ in range(viewers)]
        await asyncio.sleep(warm_up_s)
        packets, cpu, began = _packets(connections), time.process_time(), time.monotonic()
        await asyncio.sleep(seconds)
        cpu, elapsed = time.process_time() - cpu, time.monotonic() - began
        packets = _packets(connections) - packets
        for connection in connections:
            await connection.close()
        running.cancel()
    return PacketCost(viewers, 1e6 * cpu / packets, 100 * cpu / elapsed / viewers, packets / elapsed)


async def connect(
    sources: Sources,
    process: Receivers,
    settings: Settings = Settings(enable_speaker=False),  # noqa: B008
) -> MediaConnection:
    """One deaf viewer more."""
    connected = asyncio.Event()

    def changed(state: str) -> None:
        if state == "connected":
            connected.set()

    connection = MediaConnection(sources, [], changed=changed, channel=lambda _: None)
    await connection.take_answer(await process.answer(await connection.offer(settings)))
    await connected.wait()
    await process.connected()
    return connection


def _packets(connections: list[MediaConnection]) -> int:
    return sum(connection.measure().packets_sent for connection in connections)
