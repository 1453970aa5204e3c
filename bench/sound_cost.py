"""What the sound of one viewer costs, and how long it waits behind pictures: ours and aiortc's by turns.

`python -m bench.sound_cost [--viewers 1,10,50] [--frame-ms 20] [--kbps 128] [--picture-kbps 0] [--seconds 10]
[--runs 3]`: packets of random bytes, no capture and no encoder; the receivers are a process of their own in
which the kernel drops the media (appliance/bench/receivers.py), so that only the sender counts. The wait is
that between a thread that has a packet and the last viewer's packet sent. With a picture the cost is that of
both.
"""

import argparse
import asyncio
import random
import statistics
import time
from dataclasses import dataclass

from appliance.bench.fan_out import SYSTEMS, Frames, connect
from appliance.bench.receivers import receivers
from appliance.signaling.anbox import Settings
from appliance.streamer.broadcast import Broadcast
from appliance.streamer.frames import AUDIO_CLOCK, Codec
from appliance.streamer.sources import Sources
from appliance.streamer.tracks import SoundFan

_WARM_UP_S = 2


@dataclass(frozen=True, slots=True)
class Packet:
    data: bytes
    timestamp: int


class Player:
    """Packets at a constant rate, from a thread of its own as an encoder's."""

    def __init__(self, fan: SoundFan, frame_ms: int, kbps: int) -> None:
        self.waits: list[float] = []
        """Seconds from the thread to the end of sending."""
        self._fan = fan
        self._frame_ms = frame_ms
        self._opus = bytes([0xF4]) + random.Random(1).randbytes(kbps * frame_ms // 8 - 1)  # noqa: S311
        self._loop = asyncio.get_running_loop()
        self._playing = True

    def play(self) -> None:
        """Until stopped; to be called in a thread."""
        began, number = time.monotonic(), 0
        while self._playing:
            packet = Packet(self._opus, number * self._frame_ms * AUDIO_CLOCK // 1000)
            self._loop.call_soon_threadsafe(self._send, packet, time.perf_counter())
            number += 1
            time.sleep(max(0, began + number * self._frame_ms / 1000 - time.monotonic()))

    def stop(self) -> None:
        """End the thread."""
        self._playing = False

    def _send(self, packet: Packet, since: float) -> None:
        self._fan.deliver(packet)
        self.waits.append(time.perf_counter() - since)


async def measure(viewers: int, options: argparse.Namespace, *, own_packets: bool) -> dict[str, float]:
    """CPU time of this process while `viewers` listen, less what it costs while nobody does."""
    fan, frames = SoundFan(), Frames(options.picture_kbps)
    broadcast = Broadcast(lambda: frames)
    player = Player(fan, options.frame_ms, options.kbps)
    sources = Sources({Codec.H264: broadcast}, fan, own_packets=own_packets)
    picture = options.picture_kbps > 0
    settings = Settings(enable_video=picture)
    async with receivers() as process, asyncio.TaskGroup() as group:
        connections = [await connect(sources, process, settings) for _ in range(viewers)]
        await asyncio.sleep(_WARM_UP_S)
        idle = await _cpu_share(options.seconds / 2)
        running = [group.create_task(asyncio.to_thread(player.play))]
        if picture:
            running.append(group.create_task(broadcast.run()))
        await asyncio.sleep(_WARM_UP_S)
        player.waits.clear()
        began = time.monotonic()
        busy = await _cpu_share(options.seconds)
        packets = len(player.waits) * viewers / (time.monotonic() - began)
        player.stop()
        for task in running[1:]:
            task.cancel()
        for connection in connections:
            await connection.close()
    waits = sorted(player.waits)
    return {
        "us_per_packet": 1e6 * (busy - idle) / packets,
        "percent_per_viewer": 100 * (busy - idle) / viewers,
        "packets_per_s": packets,
        "wait_p50_ms": 1000 * statistics.median(waits),
        "wait_p99_ms": 1000 * waits[int(0.99 * (len(waits) - 1))],
    }


async def _cpu_share(seconds: float) -> float:
    cpu, began = time.process_time(), time.monotonic()
    await asyncio.sleep(seconds)
    return (time.process_time() - cpu) / (time.monotonic() - began)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--viewers", default="1,10,50")
    parser.add_argument("--frame-ms", type=int, default=20)
    parser.add_argument("--kbps", type=int, default=128)
    parser.add_argument("--picture-kbps", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    rows: dict[tuple[int, str], list[dict[str, float]]] = {}
    counts = [int(each) for each in options.viewers.split(",")]
    for _ in range(options.runs):
        for count in counts:
            for system, own_packets in SYSTEMS.items():
                row = await measure(count, options, own_packets=own_packets)
                rows.setdefault((count, system), []).append(row)
    print(f"{options.frame_ms} ms packets at {options.kbps} kb/s, medians of {options.runs} runs")
    print(
        f"{'viewers':>8}{'system':>10}{'packets/s':>11}{'us per packet':>15}{'% of a core per viewer':>24}"
        f"{'wait p50':>10}{'p99 ms':>8}"
    )
    for (count, system), found in rows.items():
        row = {key: statistics.median(each[key] for each in found) for key in found[0]}
        print(
            f"{count:8}{system:>10}{row['packets_per_s']:11.0f}{row['us_per_packet']:15.2f}"
            f"{row['percent_per_viewer']:24.3f}{row['wait_p50_ms']:10.2f}{row['wait_p99_ms']:8.2f}"
        )


if __name__ == "__main__":
    asyncio.run(main())
