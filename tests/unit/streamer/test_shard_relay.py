import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Callable

import pytest

from appliance.errors import UnavailableError
from appliance.streamer.broadcast import Broadcast
from appliance.streamer.frames import Codec, EncodedFrame, SourceInfo
from appliance.streamer.shard.relay import Relay
from appliance.streamer.shard.source import RemoteSource
from appliance.streamer.shard.wire import (
    BitrateWanted,
    Failed,
    Frame,
    FrameWanted,
    Link,
    RenditionName,
    Started,
    Watch,
)
from appliance.streamer.sources import Sources
from appliance.streamer.tracks import SoundFan

pytestmark = pytest.mark.unit

NAME = RenditionName(Codec.H264, second=False)
KBPS = 1000


class Encoder:
    """A source without pictures."""

    info = SourceInfo("test", "none", "", False, Codec.H264, 4, 2)

    def __init__(self) -> None:
        self.running = asyncio.Event()
        self.kbps: list[int] = []
        self.keyframes = 0
        self.deliver: Callable[[EncodedFrame], None]
        self.failed: asyncio.Future[None]

    async def run(self, deliver: Callable[[EncodedFrame], None], started: asyncio.Event) -> None:
        self.deliver, self.failed = deliver, asyncio.get_running_loop().create_future()
        started.set()
        self.running.set()
        await self.failed

    def request_keyframe(self) -> None:
        self.keyframes += 1

    def set_bitrate(self, kbps: int) -> None:
        self.kbps.append(kbps)

    def encode(self, *, keyframe: bool = False) -> EncodedFrame:
        now = time.monotonic_ns()
        frame = EncodedFrame(b"frame", keyframe, now // 1000, now, now, now)
        self.deliver(frame)
        return frame


class Viewer:
    def __init__(self, *, controls: bool, target_bps: int) -> None:
        self.controls = lambda: controls
        self.target_bps = target_bps


class Both:
    """The streamer's side and the shard's of one rendition, with a real socket in between."""

    def __init__(self, ours: Link, theirs: Link) -> None:
        self.encoder = Encoder()
        self.here = Broadcast(lambda: self.encoder)
        self.sources = Sources({Codec.H264: self.here}, SoundFan(), kbps=KBPS)
        self.relay = Relay(NAME, self.sources, lambda: self.relay.pump(ours))
        self.source = RemoteSource(NAME, theirs.send)
        self.there = Broadcast(lambda: self.source, linger_s=0)
        self.ours, self.theirs = ours, theirs
        self.watched: asyncio.Queue[bool] = asyncio.Queue()

    async def listen_here(self) -> None:
        while True:
            match await self.ours.receive():
                case Watch(wanted=wanted):
                    self.relay.watch(wanted)
                    self.watched.put_nowait(wanted)
                case FrameWanted():
                    self.relay.request_frame(keyframe=True)
                case BitrateWanted(kbps=kbps):
                    self.relay.steer(kbps)
                case other:
                    raise AssertionError(other)

    async def listen_there(self) -> None:
        while True:
            match await self.theirs.receive():
                case Started(info=info):
                    self.source.start(info)
                case Frame(frame=frame):
                    self.source.arrive(frame)
                case Failed(problem=problem):
                    self.source.fail(problem)
                case other:
                    raise AssertionError(other)


@pytest.fixture
async def both() -> AsyncIterator[Both]:
    ours, theirs = [await Link.over(each) for each in socket.socketpair()]
    made = Both(ours, theirs)
    with contextlib.closing(ours), contextlib.closing(theirs), contextlib.closing(made.relay):
        async with asyncio.TaskGroup() as group:
            work = (made.here.run(), made.there.run(), made.listen_here(), made.listen_there())
            tasks = [group.create_task(each) for each in work]
            yield made
            for task in tasks:
                task.cancel()
    await asyncio.sleep(0)


async def test_all_viewers_of_a_shard_are_one_subscriber_and_see_every_frame_as_it_was(both: Both) -> None:
    with both.there.subscribe() as first, both.there.subscribe() as second:
        assert await both.watched.get()
        await both.encoder.running.wait()
        sent = [both.encoder.encode(keyframe=not number) for number in range(3)]
        for viewer in (first, second):
            assert [await viewer.next() for _ in sent] == sent
        assert both.there.info == both.encoder.info
        assert len(both.here._subscriptions) == 1
    assert not await both.watched.get()
    assert not both.here._subscriptions


async def test_what_comes_after_the_last_viewer_has_left_leads_nowhere(both: Both) -> None:
    with both.there.subscribe():
        assert await both.watched.get()
        await both.encoder.running.wait()
    both.encoder.encode(keyframe=True)
    assert not await both.watched.get()
    assert both.there.frames_encoded == 0


async def test_a_shard_steers_only_where_nobody_controls(both: Both) -> None:
    with both.there.subscribe():
        await both.watched.get()
        await both.encoder.running.wait()
        both.relay.steer(500)
        assert both.encoder.kbps[-1] == pytest.approx(500, abs=1)
        steering = both.sources.steering(Codec.H264)
        with steering.heed(Viewer(controls=True, target_bps=2_000_000)):
            steering._rose = float("-inf")
            steering.look()
            assert both.encoder.kbps[-1] == KBPS
            both.relay.steer(300)
            assert both.encoder.kbps[-1] == KBPS


async def test_a_shard_hears_why_there_is_no_picture(both: Both) -> None:
    with both.there.subscribe():
        await both.watched.get()
        await both.encoder.running.wait()
        both.encoder.failed.set_exception(UnavailableError("no screen"))
        while not both.here.problem:
            await asyncio.sleep(0)
        both.relay.check(both.ours)
        assert not await both.watched.get()
        assert both.there.problem == "no screen"


async def test_a_keyframe_is_asked_for_where_it_is_encoded(both: Both) -> None:
    with both.there.subscribe():
        await both.watched.get()
        before = both.here.keyframe_requests
        both.source.request_keyframe()
        while both.here.keyframe_requests == before:
            await asyncio.sleep(0)
