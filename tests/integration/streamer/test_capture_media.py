"""The test pattern, files and live inputs, encoded for real and decoded again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from appliance.bus.messages import Screen
from appliance.bus.spec import StreamerSpec
from appliance.errors import UnavailableError
from appliance.streamer.capture.counter import draw_counter, read_counter
from appliance.streamer.capture.media import MediaSource, open_camera
from appliance.streamer.capture.select import open_source
from appliance.streamer.frames import Codec, EncodedFrame, VideoSource

pytestmark = pytest.mark.integration


@asynccontextmanager
async def frames_of(source: VideoSource) -> AsyncIterator[asyncio.Queue[EncodedFrame]]:
    frames: asyncio.Queue[EncodedFrame] = asyncio.Queue()
    started = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(source.run(frames.put_nowait, started))
        async with asyncio.timeout(10):
            await started.wait()
            yield frames
        task.cancel()


def seconds_between(first: EncodedFrame, last: EncodedFrame) -> float:
    """By their captures: whoever takes them may be behind."""
    return (last.captured_ns - first.captured_ns) / 1e9


class Decoder:
    def __init__(self, codec: Codec) -> None:
        context = av.CodecContext.create(codec.lower(), "r")
        assert isinstance(context, VideoCodecContext)
        context.thread_count = 1
        self.context = context

    def number(self, frame: EncodedFrame) -> int | None:
        (picture,) = self.context.decode(av.Packet(frame.data))
        self.size = picture.width, picture.height
        return read_counter(picture.to_ndarray()[: picture.height])


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """20 frames at 25 per second, numbered."""
    file = tmp_path / "film.mp4"
    with av.open(str(file), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        for number in range(20):
            picture = av.VideoFrame(640, 360, "yuv420p")
            for plane in picture.planes:
                plane.update(bytes([128]) * plane.buffer_size)
            luma = picture.planes[0]
            draw_counter(
                np.frombuffer(memoryview(luma), np.uint8).reshape(-1, luma.line_size)[:360, :640], number
            )
            picture.pts, picture.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return file


@pytest.mark.parametrize("codec", Codec)
async def test_the_pattern_counts_at_its_frame_rate(codec: Codec) -> None:
    spec = StreamerSpec(
        instance="i",
        session=None,
        application="a",
        kind="test-pattern",
        screen=Screen(width=640, height=360, fps=50),
    )
    source, decoder = open_source(spec, codec), Decoder(codec)
    async with frames_of(source) as frames:
        first = await frames.get()
        assert first.keyframe
        assert decoder.number(first) == 0
        for number in range(1, 51):
            last = await frames.get()
            assert decoder.number(last) == number
        assert 0.85 < seconds_between(first, last) < 5
        assert decoder.size == (640, 360)
        assert (source.info.source, source.info.software_fallback) == ("test pattern 640x360", False)
        source.request_keyframe()
        while not (await frames.get()).keyframe:
            continue


async def test_a_file_plays_at_its_own_pace_and_loops(film: Path) -> None:
    source = MediaSource(str(film), size=(640, 360), codec=Codec.H264, fps=60, kbps=2000)
    decoder = Decoder(Codec.H264)
    async with frames_of(source) as frames:
        played = [await frames.get() for _ in range(45)]
    assert [decoder.number(each) for each in played] == [*range(20), *range(20), *range(5)]
    assert 0.85 < seconds_between(played[0], played[-1]) / (44 / 25) < 3


async def test_a_picture_larger_than_asked_is_scaled_and_keeps_its_shape(film: Path) -> None:
    source = MediaSource(str(film), size=(400, 400), codec=Codec.H264, fps=60, kbps=2000)
    async with frames_of(source) as frames:
        await frames.get()
        assert (source.info.width, source.info.height) == (400, 224)


async def test_a_live_input_sets_the_pace() -> None:
    source = MediaSource(
        "testsrc=size=320x240:rate=30,realtime", size=(640, 480), codec=Codec.VP8, fps=30, kbps=1000,
        live=True, format="lavfi",
    )  # fmt: skip
    async with frames_of(source) as frames:
        played = [await frames.get() for _ in range(16)]
    assert 0.3 < seconds_between(played[0], played[-1]) < 3


async def failure(source: VideoSource) -> str:
    with pytest.raises(UnavailableError) as caught:
        await source.run(lambda _: None, asyncio.Event())
    return str(caught.value)


async def test_what_is_missing_or_no_film_is_named(tmp_path: Path) -> None:
    camera = open_camera("/dev/video4711", size=(640, 480), codec=Codec.H264, fps=30, kbps=1000)
    assert await failure(camera) == "/dev/video4711: No such file or directory"
    text = tmp_path / "notes.txt"
    text.write_text("not a film")
    source = MediaSource(str(text), size=(640, 480), codec=Codec.H264, fps=30, kbps=1000)
    assert (await failure(source)).startswith(f"{text}: ")
