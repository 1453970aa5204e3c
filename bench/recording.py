"""What recording costs beside the stream: CPU of the process, by turns with the same stream alone.

`python -m bench.recording [--kbps 8000] [--fps 60] [--seconds 10] [--runs 3]`: frames of random bytes behind
a real keyframe, packets of sound every 10 ms, no capture, no encoder, no viewer; into a temporary directory.
"""

import argparse
import asyncio
import os
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from appliance.streamer.broadcast import Broadcast
from appliance.streamer.capture.encoder import open_encoder
from appliance.streamer.capture.pattern import Pattern
from appliance.streamer.frames import AUDIO_CLOCK, VIDEO_CLOCK, Codec, EncodedFrame, SourceInfo
from appliance.streamer.recording.recorder import Recorder
from appliance.streamer.talkspurts import EncodedAudio
from appliance.streamer.tracks import SoundFan
from bench.report import Column, Report, arguments

_WARM_UP_S = 1.0
_SIZE = (1280, 720)
_SOUND_S = 0.01


class Frames:
    """A VideoSource at a constant rate."""

    info = SourceInfo("random bytes", "none", "", False, Codec.H264, *_SIZE)

    def __init__(self, fps: int, kbps: int) -> None:
        self._fps = fps
        pattern = Pattern(*_SIZE)
        pattern.draw(0)
        encoder = open_encoder(Codec.H264, fps=fps, kbps=kbps)
        self._keyframe = encoder.encode(pattern.picture, time.monotonic_ns(), keyframe=True).data
        self._frame = b"\0\0\0\1\x41" + random.Random(1).randbytes(kbps * 125 // fps - 5)  # noqa: S311
        self._wanted = True

    async def run(self, deliver: Callable[[EncodedFrame], None], started: asyncio.Event) -> None:
        """See VideoSource.run."""
        started.set()
        due = time.monotonic()
        while True:
            now, keyframe, self._wanted = time.monotonic_ns(), self._wanted, False
            data = self._keyframe if keyframe else self._frame
            deliver(EncodedFrame(data, keyframe, now * VIDEO_CLOCK // 1_000_000_000, now, now, now))
            due += 1 / self._fps
            await asyncio.sleep(due - time.monotonic())

    def request_keyframe(self) -> None:
        """See VideoSource.request_keyframe."""
        self._wanted = True

    def refresh(self) -> None:
        """See VideoSource.refresh."""

    def set_bitrate(self, kbps: int) -> None:
        """See VideoSource.set_bitrate."""


async def measure(options: argparse.Namespace, folder: Path | None) -> dict[str, float]:
    """With a `folder` to record in, or without."""
    fan, frames = SoundFan(), Frames(options.fps, options.kbps)
    broadcast = Broadcast(lambda: frames)
    async with asyncio.TaskGroup() as group:
        running = [group.create_task(broadcast.run()), group.create_task(_sound(fan))]
        if folder:
            running.append(group.create_task(Recorder(broadcast, fan, folder, "bench").run()))
        with broadcast.hold():
            await asyncio.sleep(_WARM_UP_S)
            cpu, began, before = time.process_time(), time.monotonic(), _size(folder)
            await asyncio.sleep(options.seconds)
            took = time.monotonic() - began
            row = {"cpu": 100 * (time.process_time() - cpu) / took}
            if folder:
                row["rate"] = (_size(folder) - before) / took / 1e6
        for task in running:
            task.cancel()
    return row


async def _sound(fan: SoundFan) -> None:
    due, number = time.monotonic(), 0
    while True:
        fan.deliver(EncodedAudio(os.urandom(160), number * int(_SOUND_S * AUDIO_CLOCK)))
        number += 1
        due += _SOUND_S
        await asyncio.sleep(due - time.monotonic())


def _size(folder: Path | None) -> int:
    return sum(each.stat().st_size for each in folder.iterdir()) if folder else 0


def main() -> None:
    parser = arguments(__doc__, seconds=10)
    parser.add_argument("--kbps", type=int, default=8000)
    parser.add_argument("--fps", type=int, default=60)
    options = parser.parse_args()
    title = f"{options.fps} frames and 100 packets of sound a second, {options.kbps} kb/s"
    report = Report(title, [Column("cpu", "% of a core", 2), Column("rate", "MB/s to the disk", 2)])
    for _ in range(options.runs):
        report.add("not recorded", asyncio.run(measure(options, None)))
        with tempfile.TemporaryDirectory() as directory:
            report.add("recorded", asyncio.run(measure(options, Path(directory) / "kept" / "applications")))
    report.finish(options)


if __name__ == "__main__":
    main()
