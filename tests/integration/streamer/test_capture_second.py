"""The second rendition, encoded for real from the pictures of the first."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import av
import pytest
from av.video.codeccontext import VideoCodecContext

from appliance.errors import UnavailableError
from appliance.streamer import subscription
from appliance.streamer.broadcast import Broadcast
from appliance.streamer.capture.pattern import PatternSource
from appliance.streamer.capture.second import SecondSource
from appliance.streamer.capture.x11 import X11Source
from appliance.streamer.frames import Codec, EncodedFrame
from appliance.streamer.subscription import Subscription
from tests.support.box import x_server

pytestmark = pytest.mark.integration


def size(codec: Codec, frame: EncodedFrame) -> tuple[int, int]:
    context = av.CodecContext.create(codec.lower(), "r")
    assert isinstance(context, VideoCodecContext)
    context.thread_count = 1
    (picture,) = context.decode(av.Packet(frame.data))
    return picture.width, picture.height


@asynccontextmanager
async def both(source: PatternSource | X11Source) -> AsyncIterator[tuple[Broadcast, Broadcast]]:
    """The renditions of one source, served."""
    opened: list[SecondSource] = []

    def second() -> SecondSource:
        if first.info is None:
            raise UnavailableError("not yet")
        opened.append(source.second())
        return opened[-1]

    first, small = Broadcast(lambda: source), Broadcast(second, keyframe_floor_s=0)
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        tasks = [group.create_task(broadcast.run()) for broadcast in (first, small)]
        yield first, small
        for task in tasks:
            task.cancel()


async def ended(source: SecondSource, started: asyncio.Event) -> str:
    with pytest.raises(UnavailableError) as found:
        await source.run(lambda _: None, started)
    return str(found.value)


async def next_of(subscription: Subscription, timestamp: int) -> EncodedFrame:
    while (frame := await subscription.next()).timestamp < timestamp:
        continue
    return frame


@pytest.mark.parametrize("codec", list(Codec))
async def test_it_is_half_as_wide_and_high_and_of_the_same_moments(
    codec: Codec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscription, "DEPTH", 1000)  # who is behind misses none
    source = PatternSource(640, 362, codec=codec, fps=20, kbps=2000)
    async with both(source) as (first, small):
        with first.subscribe() as large_frames, small.subscribe() as small_frames:
            frame = await small_frames.next()
            assert frame.keyframe
            assert size(codec, frame) == (320, 180)
            for _ in range(5):
                frame = await small_frames.next()
                assert (await next_of(large_frames, frame.timestamp)).timestamp == frame.timestamp
            assert small.info
            assert (small.info.width, small.info.height, small.info.codec) == (320, 180, codec)


async def test_on_a_still_screen_a_keyframe_comes_at_once_and_the_first_is_not_reset() -> None:
    async with (
        x_server(640, 480) as display,
        both(X11Source(display, codec=Codec.H264, fps=30, kbps=2000)) as (first, small),
    ):
        with first.hold():
            with first.subscribe() as large_frames:
                assert (await large_frames.next()).keyframe
            keyframes = first.keyframes
            for _ in range(3):
                began = asyncio.get_running_loop().time()
                with small.subscribe() as frames:
                    assert (await frames.next()).keyframe
                    assert asyncio.get_running_loop().time() - began < 5
                    frames.ask()
                    while not (await frames.next()).keyframe:
                        continue
            assert first.keyframes == keyframes


async def test_one_more_frame_of_a_still_screen_is_one_of_both() -> None:
    async with (
        x_server(640, 480) as display,
        both(X11Source(display, codec=Codec.H264, fps=30, kbps=2000)) as (first, small),
    ):
        with first.hold(), small.subscribe() as frames:
            assert (await frames.next()).keyframe
            for rendition in (first, small):
                rendition.refresh()
                async with asyncio.timeout(5):  # of itself one comes in 15 s
                    assert not (await frames.next()).keyframe


async def test_it_costs_nothing_once_nobody_watches_it() -> None:
    source = PatternSource(320, 240, codec=Codec.H264, fps=30, kbps=1000)
    async with both(source) as (first, small):
        small._linger_s = 0
        with first.subscribe() as large_frames:
            with small.subscribe() as frames:
                await frames.next()
            while small.info:
                await large_frames.next()
            for _ in range(6):  # the last picture may have been in the encoder
                await large_frames.next()
            encoded = small.frames_encoded
            for _ in range(5):
                await large_frames.next()
            assert small.frames_encoded == encoded


async def test_it_ends_with_the_source_whose_pictures_it_shares() -> None:
    source = PatternSource(320, 240, codec=Codec.H264, fps=30, kbps=1000)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        started = asyncio.Event()
        running = group.create_task(source.run(lambda _: None, started))
        await started.wait()
        second = source.second()
        small = asyncio.Event()
        serving = group.create_task(ended(second, small))
        await small.wait()
        running.cancel()
        assert "has ended" in await serving
