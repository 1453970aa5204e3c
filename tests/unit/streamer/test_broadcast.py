"""Encode once, fan out: what viewers get, and when the source runs."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from appliance.errors import UnavailableError
from appliance.streamer.broadcast import Broadcast
from appliance.streamer.frames import Codec, EncodedFrame, SourceInfo

pytestmark = pytest.mark.unit


class FakeSource:
    """Delivers what the test tells it to."""

    info = SourceInfo("fake", "none", "", False, Codec.H264, 2, 2)

    def __init__(self, failure: str = "") -> None:
        self.failure = failure
        self.keyframes_requested = 0
        self.kbps: int | None = None
        self.running = asyncio.Event()
        self.stopped = asyncio.Event()
        self.asked = asyncio.Event()
        self._deliver: Callable[[EncodedFrame], None] | None = None

    async def run(self, deliver: Callable[[EncodedFrame], None], started: asyncio.Event) -> None:
        if self.failure:
            raise UnavailableError(self.failure)
        self._deliver = deliver
        started.set()
        self.running.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.stopped.set()

    def request_keyframe(self) -> None:
        self.keyframes_requested += 1
        self.asked.set()

    def set_bitrate(self, kbps: int) -> None:
        self.kbps = kbps

    def deliver(self, *, key: bool = False) -> EncodedFrame:
        now = time.monotonic_ns()
        frame = EncodedFrame(b"frame", key, now, now - 2_000_000, now - 1_000_000, now)
        if key:
            frame = EncodedFrame(b"keyframe", key, now, now, now, now)
        assert self._deliver is not None
        self._deliver(frame)
        return frame


@asynccontextmanager
async def running(broadcast: Broadcast) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(broadcast.run())
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_a_source_that_is_opened_anew_keeps_its_viewers() -> None:
    opened: list[FakeSource] = []

    def open_source() -> FakeSource:
        opened.append(FakeSource())
        return opened[-1]

    broadcast = Broadcast(open_source)
    async with running(broadcast):
        with broadcast.subscribe() as viewer:
            await asyncio.sleep(0)
            await opened[0].running.wait()
            broadcast.reopen()
            with broadcast.subscribe():
                await opened[0].stopped.wait()
            await asyncio.sleep(0)
            await opened[1].running.wait()
            frame = opened[1].deliver(key=True)
            assert await viewer.next() is frame
    assert len(opened) == 2


async def test_every_viewer_sees_the_same_frames_of_one_source() -> None:
    opened: list[FakeSource] = []

    def open_source() -> FakeSource:
        opened.append(FakeSource())
        return opened[-1]

    broadcast = Broadcast(open_source)
    async with running(broadcast):
        with broadcast.subscribe() as one, broadcast.subscribe() as two:
            await asyncio.sleep(0)
            (source,) = opened
            await source.running.wait()
            key, delta = source.deliver(key=True), source.deliver()
            assert [await one.next(), await one.next()] == [key, delta]
            assert [await two.next(), await two.next()] == [key, delta]
            assert broadcast.frames_encoded == 2
            assert broadcast.keyframes == 1
            assert broadcast.info is source.info


async def test_a_viewer_who_joins_midway_waits_for_a_keyframe() -> None:
    source = FakeSource()
    broadcast = Broadcast(lambda: source, keyframe_floor_s=0)
    async with running(broadcast):
        with broadcast.subscribe() as first:
            await source.running.wait()
            source.deliver(key=True)
            for _ in range(4):
                await first.next()
                source.deliver()
            assert not broadcast.current
            with broadcast.subscribe() as late:
                assert source.keyframes_requested == 1
                source.deliver()
                key = source.deliver(key=True)
                assert await late.next() is key
                assert late.dropped == 0


async def test_a_viewer_who_joins_right_after_a_keyframe_gets_it_and_what_followed() -> None:
    source = FakeSource()
    broadcast = Broadcast(lambda: source, keyframe_floor_s=60)
    async with running(broadcast):
        with broadcast.subscribe() as first:
            await source.running.wait()
            source.deliver(key=True)
            first.take()
            frames = [source.deliver(key=True), source.deliver(), source.deliver()]
            told: list[EncodedFrame] = []
            with broadcast.subscribe(told.append) as late:
                frames.append(source.deliver())
                assert [late.take() for _ in frames] == told == frames
                assert (late.dropped, broadcast.keyframe_requests) == (0, 1)


async def test_a_viewer_who_joins_a_still_screen_costs_nobody_a_keyframe() -> None:
    source = FakeSource()
    broadcast = Broadcast(lambda: source, keyframe_floor_s=0)
    async with running(broadcast):
        with broadcast.subscribe() as first:
            await source.running.wait()
            frames = [source.deliver(key=True), source.deliver()]
            assert broadcast.current
            with broadcast.subscribe() as late:
                found = [late.take(), late.take()]
                frames.append(source.deliver())
                found.append(late.take())
            assert [first.take() for _ in frames] == frames
    assert [each.data for each in found if each] == [each.data for each in frames]
    assert found[-1] is frames[-1]
    stamps = [each.timestamp for each in found if each]
    assert stamps == sorted(set(stamps))
    assert (broadcast.keyframe_requests, source.keyframes_requested) == (1, 0)


async def test_who_hears_of_a_frame_may_leave() -> None:
    source = FakeSource()
    broadcast = Broadcast(lambda: source)
    async with running(broadcast):
        with broadcast.subscribe() as other, contextlib.ExitStack() as stack:
            stack.enter_context(broadcast.subscribe(lambda _: stack.close()))
            await source.running.wait()
            frames = [source.deliver(key=True), source.deliver()]
            assert [other.take(), other.take()] == frames


async def test_frames_of_a_source_that_ended_are_not_given_to_who_joins_the_next_one() -> None:
    sources = [FakeSource(), FakeSource()]
    first, second = sources
    broadcast = Broadcast(lambda: sources.pop(0), keyframe_floor_s=60)
    async with running(broadcast):
        with broadcast.subscribe():
            await first.running.wait()
            first.deliver(key=True)
            broadcast.reopen()
            await second.running.wait()
            with broadcast.subscribe() as late:
                assert late.take() is None


async def test_a_slow_viewer_loses_its_queue_and_nobody_else_does() -> None:
    source = FakeSource()
    broadcast = Broadcast(lambda: source, keyframe_floor_s=0)
    async with running(broadcast):
        with broadcast.subscribe() as slow, broadcast.subscribe() as quick:
            await source.running.wait()
            source.deliver(key=True)
            await quick.next()
            for _ in range(6):
                frame = source.deliver()
                assert await quick.next() is frame
            assert slow.dropped == 7
            assert quick.dropped == 0
            assert source.keyframes_requested == 1
            key = source.deliver(key=True)
            assert await slow.next() is key


async def test_a_viewer_is_told_of_what_is_queued_and_goes_on_from_a_keyframe_when_it_stumbles() -> None:
    source, told = FakeSource(), []
    broadcast = Broadcast(lambda: source, keyframe_floor_s=0)
    async with running(broadcast):
        with broadcast.subscribe(told.append) as viewer:
            await source.running.wait()
            source.deliver()
            assert viewer.take() is None
            key, delta = source.deliver(key=True), source.deliver()
            assert told == [key, delta]
            assert viewer.take() is key
            viewer.stumble(1)
            assert (viewer.take(), viewer.dropped, source.keyframes_requested) == (None, 2, 0)
            viewer.ask()
            assert source.keyframes_requested == 1
            source.deliver()
            key = source.deliver(key=True)
            assert (viewer.take(), viewer.take(), viewer.dropped) == (key, None, 3)


async def test_a_keyframe_that_meets_a_full_queue_is_kept() -> None:
    source = FakeSource()
    broadcast = Broadcast(lambda: source, keyframe_floor_s=0)
    async with running(broadcast):
        with broadcast.subscribe() as slow:
            await source.running.wait()
            source.deliver(key=True)
            for _ in range(3):
                source.deliver()
            key = source.deliver(key=True)
            assert await slow.next() is key
            assert slow.dropped == 4
            assert source.keyframes_requested == 0


async def test_requests_within_the_floor_become_one_at_its_end() -> None:
    source = FakeSource()
    broadcast = Broadcast(lambda: source, keyframe_floor_s=0.1)
    async with running(broadcast):
        with broadcast.subscribe() as viewer:
            await source.running.wait()
            source.deliver(key=True)
            await viewer.next()
            await asyncio.sleep(0.1)
            broadcast.request_keyframe()
            assert source.keyframes_requested == 1
            begun = time.monotonic()
            source.asked.clear()
            for _ in range(5):
                broadcast.request_keyframe()
            assert source.keyframes_requested == 1
            await source.asked.wait()
            assert source.keyframes_requested == 2
            assert time.monotonic() - begun > 0.09
            assert broadcast.keyframe_requests == 7


async def test_a_keyframe_on_its_way_serves_the_pending_request() -> None:
    source = FakeSource()
    broadcast = Broadcast(lambda: source, keyframe_floor_s=0.05)
    async with running(broadcast):
        with broadcast.subscribe():
            await source.running.wait()
            broadcast.request_keyframe()
            source.deliver(key=True)
            await asyncio.sleep(0.1)
            assert source.keyframes_requested == 0


async def test_the_source_lingers_then_stops_and_comes_back() -> None:
    opened: list[FakeSource] = []

    def open_source() -> FakeSource:
        opened.append(FakeSource())
        return opened[-1]

    broadcast = Broadcast(open_source, linger_s=0.05)
    async with running(broadcast):
        assert not opened
        with broadcast.subscribe():
            await asyncio.sleep(0.1)
            await opened[0].running.wait()
        with broadcast.subscribe():
            await asyncio.sleep(0.1)
            assert not opened[0].stopped.is_set()
        await opened[0].stopped.wait()
        assert broadcast.info is None
        assert broadcast.fps is None
        with broadcast.subscribe():
            await asyncio.sleep(0.01)
            await opened[1].running.wait()


async def test_a_source_that_fails_is_opened_again_without_hurry() -> None:
    sources = [FakeSource("display :7 is gone"), FakeSource("display :7 is gone"), FakeSource()]
    working = sources[-1]
    broadcast = Broadcast(lambda: sources.pop(0))
    broadcast.set_bitrate(1234)
    begun = time.monotonic()
    async with running(broadcast):
        with broadcast.subscribe() as viewer:
            await asyncio.sleep(0.05)
            assert broadcast.problem == "display :7 is gone"
            await working.running.wait()
            assert time.monotonic() - begun > 0.7
            assert working.kbps == 1234
            key = working.deliver(key=True)
            assert await viewer.next() is key
            assert broadcast.problem == ""


async def test_bitrate_reaches_the_running_source() -> None:
    source = FakeSource()
    broadcast = Broadcast(lambda: source)
    async with running(broadcast):
        with broadcast.subscribe():
            await source.running.wait()
            broadcast.set_bitrate(500)
            assert source.kbps == 500
