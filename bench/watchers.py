"""Headless viewers in a process of their own, which do not decode.

`python -m bench.watchers LINK --count 17 [--deaf] [--loss 0.3] [--wide] [--log FILE] [--sent FILE]`:
prints "watching" once all are connected, and goes on until it is ended. `--deaf`: the kernel drops the
picture, so that receiving costs nothing. `--wide`: they give transport-wide feedback, as browsers do, so that
the box knows that there is room; without it aiortc says about twice of what it gets, and large frames are
paced. `--log`: one JSON line a frame: the viewer, its RTP timestamp, when its last packet came (ms of the
wall clock). `--sent`: the same of the box's end: when it was encoded, and how many ms later its last packet
was handed to the kernel.

With `--stay 0.7` they come one by one, each for so many seconds, and "joins", with the time, says when.
"""

import argparse
import asyncio
import contextlib
import functools
import json
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, TextIO

import aiortc.rtcrtpreceiver
from aiortc.rtp import RtpPacket

from appliance.bench.receivers import deafen, lose, udp_sockets
from bench import feedback
from bench.report import quantile
from tests.support.box import Running, running
from tests.support.viewer import FrameRow, stop_decoding, viewer

VIDEO_CLOCK_KHZ = 90
_HALF = 1 << 31


@contextlib.asynccontextmanager
async def watchers(link: str, count: int, *options: str) -> AsyncIterator[Running]:
    """A process of `count` viewers, connected."""
    command = [sys.executable, "-m", "bench.watchers", link, "--count", str(count), *options]
    async with running(command) as process:
        await process.line("watching", 30 + count)
        yield process


def lateness(log: Path, since_ms: float) -> dict[int, list[tuple[float, float]]]:
    """By viewer: when each frame came, and how much later than the quickest that this viewer got, in ms."""
    first: dict[int, int] = {}
    arrivals: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for line in log.read_text().splitlines():
        number, timestamp, at = json.loads(line)
        elapsed = (timestamp - first.setdefault(number, timestamp) + _HALF) % (2 * _HALF) - _HALF  # it wraps
        if at >= since_ms:
            arrivals[number].append((at, at - elapsed / VIDEO_CLOCK_KHZ))
    found = {}
    for number, frames in arrivals.items():
        quickest = min(delay for _, delay in frames)
        found[number] = [(at, delay - quickest) for at, delay in frames]
    return found


def lateness_p95(log: Path, since_ms: float) -> float:
    """Over all frames of all viewers."""
    return quantile((late for frames in lateness(log, since_ms).values() for _, late in frames), 0.95)


def log_frames(log: TextIO) -> None:
    """Write a line for every frame of every receiver of this process, once its last packet has come."""
    receivers: dict[int, int] = {}
    handle = aiortc.rtcrtpreceiver.RTCRtpReceiver._handle_rtp_packet

    async def tell(self: Any, packet: RtpPacket, arrival_time_ms: int) -> None:
        if packet.marker and self.track.kind == "video":
            number = receivers.setdefault(id(self), len(receivers))
            log.write(json.dumps([number, packet.timestamp, time.time() * 1000]) + "\n")
            log.flush()
        await handle(self, packet, arrival_time_ms)

    aiortc.rtcrtpreceiver.RTCRtpReceiver._handle_rtp_packet = tell  # type: ignore[method-assign]


def log_sent(log: TextIO, row: FrameRow) -> None:
    """Write a line for a frame that the box sent."""
    _, captured, capture, encode, sending = row
    wall_ms = 1000 * (time.time() - time.monotonic())
    log.write(json.dumps([captured + capture + encode + wall_ms, sending]) + "\n")
    log.flush()


async def visit_in_turn(link: str, count: int, stay_s: float) -> None:
    """One viewer at a time."""
    for _ in range(count):
        await asyncio.sleep(stay_s)
        print(f"joins {1000 * time.time():.1f}", flush=True)
        async with viewer(link):
            await asyncio.sleep(stay_s)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("link")
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--deaf", action="store_true")
    parser.add_argument("--loss", type=float, default=0.0)
    parser.add_argument("--wide", action="store_true")
    parser.add_argument("--log", type=argparse.FileType("w"))
    parser.add_argument("--sent", type=argparse.FileType("w"))
    parser.add_argument("--stay", type=float)
    options = parser.parse_args()
    stop_decoding()
    if options.wide:
        feedback.install(deaf=False)
    if options.log:
        log_frames(options.log)
    if options.stay:
        await visit_in_turn(options.link, options.count, options.stay)
        return
    frame_sent = functools.partial(log_sent, options.sent) if options.sent else None
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(options.count):
            await stack.enter_async_context(viewer(options.link, frame_sent))
        if options.deaf:
            deafen(udp_sockets())
        elif options.loss:
            lose(options.loss, udp_sockets())
        print("watching", flush=True)
        await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    asyncio.run(main())
