"""What is streamed is recorded as it is, and the stream never pays for it."""

import asyncio
import contextlib
import math
import resource
import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from appliance import recordings
from appliance.recordings import Recording, Shelf
from appliance.streamer.broadcast import Broadcast
from appliance.streamer.capture.encoder import open_encoder
from appliance.streamer.capture.pattern import PatternSource
from appliance.streamer.frames import Codec, EncodedFrame, SourceInfo
from appliance.streamer.recording.recorder import Recorder
from appliance.streamer.talkspurts import EncodedAudio
from appliance.streamer.tracks import SoundFan
from tests.support.gateway import until
from tests.support.recorded import play

pytestmark = pytest.mark.integration

FPS = 25


@contextlib.asynccontextmanager
async def running(*services: Broadcast | Recorder) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(each.run()) for each in services]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()


def pattern(codec: Codec = Codec.H264, width: int = 128, kbps: int = 500) -> PatternSource:
    return PatternSource(width, 96, codec=codec, fps=FPS, kbps=kbps)


def finished(root: Path) -> list[Recording]:
    return [each for each in recordings.found(root) if not each.running]


def folder(root: Path) -> Path:
    return root / Shelf.APPLICATION


@pytest.mark.parametrize("codec", list(Codec))
async def test_every_frame_is_there_at_its_time_from_a_keyframe_on(tmp_path: Path, codec: Codec) -> None:
    broadcast = Broadcast(lambda: pattern(codec))
    recorder = Recorder(broadcast, None, folder(tmp_path), "pattern")
    began = time.time()
    async with running(broadcast):
        async with running(recorder):
            await until(lambda: broadcast.frames_encoded >= 30 and recorder.file)
            assert not recorder.problem
            encoded = broadcast.frames_encoded
        most, ended = broadcast.frames_encoded, time.time()
    (one,) = finished(tmp_path)
    assert began - 0.001 <= one.began <= ended
    recorded = play(one.file)
    assert (recorded.codecs, recorded.size) == ([codec.lower()], (128, 96))
    assert recorded.keyframes[0] == 0
    assert encoded <= len(recorded.pictures) <= most
    times = [at for at, _ in recorded.pictures]
    assert times == sorted(set(times))
    assert recorded.duration == pytest.approx(times[-1], abs=0.1)
    assert (len(times) - 1) / FPS - 0.3 < times[-1] < ended - one.began + 0.1


async def test_a_long_recording_goes_to_several_files_and_loses_nothing_in_between(tmp_path: Path) -> None:
    broadcast = Broadcast(pattern)
    recorder = Recorder(broadcast, None, folder(tmp_path), "pattern", segment_s=0.4)
    async with running(broadcast), running(recorder):
        await until(lambda: len(finished(tmp_path)) >= 3)
        encoded, keyframes = broadcast.frames_encoded, broadcast.keyframes
    files = [play(each.file) for each in finished(tmp_path)]
    assert all(each.keyframes[0] == 0 for each in files)
    assert encoded <= sum(len(each.pictures) for each in files) <= broadcast.frames_encoded
    assert keyframes <= len(files) <= broadcast.keyframes


async def test_a_picture_of_another_size_begins_another_file(tmp_path: Path) -> None:
    widths = iter((128, 192))
    broadcast = Broadcast(lambda: pattern(width=next(widths)))
    recorder = Recorder(broadcast, None, folder(tmp_path), "pattern")
    async with running(broadcast), running(recorder):
        await until(lambda: recorder.file)
        broadcast.reopen()
        await until(lambda: len(recordings.found(tmp_path)) == 2)
    assert [play(each.file).size for each in finished(tmp_path)] == [(128, 96), (192, 96)]


async def test_a_file_that_a_crash_cuts_off_plays(tmp_path: Path) -> None:
    broadcast = Broadcast(pattern)
    async with running(broadcast, Recorder(broadcast, None, folder(tmp_path), "pattern")):
        await until(lambda: broadcast.frames_encoded >= 60)
        (one,) = recordings.found(tmp_path)
        torn = tmp_path / "torn.mkv"
        shutil.copyfile(one.file, torn)
    recorded = play(torn)
    assert len(recorded.pictures) >= 60 - 1.5 * FPS
    assert recorded.duration is None


async def test_what_cannot_be_written_is_said_and_tried_again(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.touch()  # where a directory should be
    root = disk / "kept"
    broadcast = Broadcast(pattern)
    recorder = Recorder(broadcast, None, folder(root), "pattern", again_s=0.1)
    async with running(broadcast, recorder):
        await until(lambda: "Not a directory" in recorder.problem)
        assert str(folder(root)) in recorder.problem
        disk.unlink()
        await until(lambda: recorder.file)
        assert not recorder.problem


@contextlib.contextmanager
def files_end_at(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_a_disk_that_takes_no_more_stops_the_recording_and_not_the_stream(tmp_path: Path) -> None:
    broadcast = Broadcast(lambda: pattern(kbps=4000))
    recorder = Recorder(broadcast, None, folder(tmp_path), "pattern", again_s=0.1)
    async with running(broadcast, recorder):
        with broadcast.subscribe() as viewer, files_end_at(20_000):
            await until(lambda: "File too large" in recorder.problem)
            for _ in range(5):
                await viewer.next()
        await until(lambda: len(recordings.found(tmp_path)) > 1 and recorder.file)
        assert not recorder.problem
    assert play(finished(tmp_path)[0].file).pictures


class Flash:
    """A dark picture that turns white at `at`, and silence that turns to sound, on time.monotonic()."""

    info = SourceInfo("flash", "x264", "", False, Codec.H264, 64, 48)

    def __init__(self) -> None:
        self.at = self.shown = self.sounded = math.inf
        """The others: when it did turn."""

    async def run(self, deliver: Callable[[EncodedFrame], None], started: asyncio.Event) -> None:
        encoder, picture = open_encoder(Codec.H264, fps=FPS, kbps=300), av.VideoFrame(64, 48, "yuv420p")
        started.set()
        first = True
        while True:
            now = time.monotonic()
            if now >= self.at:
                self.shown = min(self.shown, now)
            for plane, value in zip(picture.planes, (235 if now >= self.at else 16, 128, 128), strict=True):
                plane.update(bytes([value]) * plane.buffer_size)
            frame = encoder.encode(picture, int(now * 1e9), keyframe=first)
            deliver(replace(frame, keyframe=first))
            first = False
            await asyncio.sleep(1 / FPS)

    def request_keyframe(self) -> None: ...

    def refresh(self) -> None: ...

    def set_bitrate(self, kbps: int) -> None: ...

    async def sound(self, fan: SoundFan) -> None:
        """Packets of 20 ms as a sound card gives them: when they are full; counted from anywhere."""
        encoder = av.CodecContext.create("libopus", "w")
        encoder.sample_rate, encoder.layout, encoder.format = 48_000, "stereo", "flt"
        encoder.options = {"application": "lowdelay"}
        wave = np.tile(np.sin(np.arange(960) * 0.1).astype(np.float32).repeat(2), (1, 1))
        began, count = time.monotonic(), 0
        while True:
            filled = began + (count + 1) * 0.02
            await asyncio.sleep(filled - time.monotonic())
            sounds = filled - 0.02 >= self.at
            if sounds:
                self.sounded = min(self.sounded, filled - 0.02)
            samples = wave if sounds else np.zeros_like(wave)
            frame = av.AudioFrame.from_ndarray(samples, "flt", "stereo")
            frame.sample_rate, frame.pts = 48_000, count * 960
            for packet in encoder.encode(frame):
                fan.deliver(EncodedAudio(bytes(packet), 123_456_789 + count * 960))
            count += 1


async def test_sound_and_picture_go_together(tmp_path: Path) -> None:
    flash, fan = Flash(), SoundFan()
    broadcast = Broadcast(lambda: flash)
    recorder = Recorder(broadcast, fan, folder(tmp_path), "flash")
    async with running(broadcast), asyncio.TaskGroup() as group:
        sounding = group.create_task(flash.sound(fan))
        async with running(recorder):
            await until(lambda: recorder.file)
            flash.at = time.monotonic() + 1
            await until(lambda: time.monotonic() > flash.at + 0.5)
        sounding.cancel()
    recorded = play(finished(tmp_path)[0].file)
    assert recorded.codecs == ["h264", "opus"]
    seen = next(at for at, bright in recorded.pictures if bright > 128)
    heard = next(at for at, loud in recorded.sounds if loud > 0.3)
    assert seen > 0.5
    assert abs((seen - flash.shown) - (heard - flash.sounded)) < 0.1
