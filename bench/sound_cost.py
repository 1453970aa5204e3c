"""What the sound of one viewer costs: our own packets and aiortc's sender, by turns in one process.

`python -m bench.sound_cost [--viewers 1,10,50] [--frame-ms 10] [--kbps 128] [--seconds 10] [--runs 3]`:
packets of random bytes, no capture and no encoder; the receivers are a process of their own in which the
kernel drops the sound (bench/packets.py), so that only the sender counts.
"""

import argparse
import asyncio
import random
import statistics
import time
from dataclasses import dataclass

from appliance.signaling.anbox import Settings
from appliance.streamer.broadcast import Broadcast
from appliance.streamer.connection import Sources
from appliance.streamer.frames import AUDIO_CLOCK, Codec
from appliance.streamer.tracks import SoundFan
from bench.packets import SYSTEMS, Frames, receivers

_WARM_UP_S = 2


@dataclass(frozen=True, slots=True)
class Packet:
    data: bytes
    timestamp: int


async def play(fan: SoundFan, frame_ms: int, kbps: int, delivered: list[int]) -> None:
    """Packets at a constant rate; counts them in `delivered[0]`."""
    opus = bytes([0xF4]) + random.Random(1).randbytes(kbps * frame_ms // 8 - 1)  # noqa: S311
    began = time.monotonic()
    while True:
        number = delivered[0]
        fan.deliver(Packet(opus, number * frame_ms * AUDIO_CLOCK // 1000))
        delivered[0] = number + 1
        await asyncio.sleep(max(0, began + (number + 1) * frame_ms / 1000 - time.monotonic()))


async def measure(viewers: int, options: argparse.Namespace, *, own_packets: bool) -> dict[str, float]:
    """CPU time of this process while `viewers` listen, less what it costs while nobody does."""
    fan, delivered = SoundFan(), [0]
    sources = Sources({Codec.H264: Broadcast(lambda: Frames(0))}, fan, own_packets=own_packets)
    async with receivers(Settings(enable_video=False)) as connect, asyncio.TaskGroup() as group:
        connections = [await connect(sources) for _ in range(viewers)]
        await asyncio.sleep(_WARM_UP_S)
        idle = await _cpu_share(options.seconds / 2)
        playing = group.create_task(play(fan, options.frame_ms, options.kbps, delivered))
        await asyncio.sleep(_WARM_UP_S)
        before = delivered[0]
        began = time.monotonic()
        busy = await _cpu_share(options.seconds)
        packets = (delivered[0] - before) * viewers / (time.monotonic() - began)
        playing.cancel()
        for connection in connections:
            await connection.close()
    return {
        "us_per_packet": 1e6 * (busy - idle) / packets,
        "percent_per_viewer": 100 * (busy - idle) / viewers,
        "packets_per_s": packets,
    }


async def _cpu_share(seconds: float) -> float:
    cpu, began = time.process_time(), time.monotonic()
    await asyncio.sleep(seconds)
    return (time.process_time() - cpu) / (time.monotonic() - began)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--viewers", default="1,10,50")
    parser.add_argument("--frame-ms", type=int, default=10)
    parser.add_argument("--kbps", type=int, default=128)
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
    print(f"{'viewers':>8}{'system':>10}{'packets/s':>11}{'us per packet':>15}{'% of a core per viewer':>24}")
    for (count, system), found in rows.items():
        row = {key: statistics.median(each[key] for each in found) for key in found[0]}
        print(
            f"{count:8}{system:>10}{row['packets_per_s']:11.0f}{row['us_per_packet']:15.2f}"
            f"{row['percent_per_viewer']:24.3f}"
        )


if __name__ == "__main__":
    asyncio.run(main())
