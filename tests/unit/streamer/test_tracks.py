import asyncio
from dataclasses import dataclass
from fractions import Fraction

import pytest
from aiortc.mediastreams import MediaStreamError

from appliance.streamer.broadcast import Broadcast
from appliance.streamer.frames import Codec, EncodedFrame, SourceInfo
from appliance.streamer.tracks import SoundFan, SoundTrack, VideoTrack

pytestmark = pytest.mark.unit


@dataclass(frozen=True)
class Packet:
    data: bytes
    timestamp: int


class Source:
    """Delivers what the test says."""

    info = SourceInfo("test", "none", "", False, Codec.H264, 2, 2)

    def __init__(self) -> None:
        self.frames: asyncio.Queue[EncodedFrame] = asyncio.Queue()
        self.keyframes_requested = 0

    async def run(self, deliver, started) -> None:  # type: ignore[no-untyped-def]
        started.set()
        while True:
            deliver(await self.frames.get())
            self.frames.task_done()

    def request_keyframe(self) -> None:
        self.keyframes_requested += 1

    def set_bitrate(self, kbps: int) -> None:
        raise NotImplementedError


def frame(timestamp: int, *, keyframe: bool = False) -> EncodedFrame:
    return EncodedFrame(b"\0\0\0\1\x65", keyframe, timestamp, 0, 0, 0)


async def test_two_viewers_get_the_same_frames_from_one_source() -> None:
    source = Source()
    broadcast = Broadcast(lambda: source)
    tracks = [VideoTrack(lambda: broadcast), VideoTrack(lambda: broadcast)]
    async with asyncio.TaskGroup() as group:
        running = group.create_task(broadcast.run())
        pulls = [group.create_task(track.recv()) for track in tracks]
        await asyncio.sleep(0)
        source.frames.put_nowait(frame(1))
        source.frames.put_nowait(frame(900, keyframe=True))
        packets = [await pull for pull in pulls]
        assert [(packet.pts, packet.time_base) for packet in packets] == [(900, Fraction(1, 90_000))] * 2
        assert [track.frames_sent for track in tracks] == [1, 1]
        for track in tracks:
            track.stop()
        running.cancel()


async def test_a_slow_viewer_drops_and_comes_back_with_a_keyframe() -> None:
    source = Source()
    broadcast = Broadcast(lambda: source)
    track = VideoTrack(lambda: broadcast)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(broadcast.run())
        first = group.create_task(track.recv())
        await asyncio.sleep(0)
        source.frames.put_nowait(frame(0, keyframe=True))
        await first
        for number in range(1, 11):
            source.frames.put_nowait(frame(number))
        source.frames.put_nowait(frame(11, keyframe=True))
        await source.frames.join()
        assert (await track.recv()).pts == 11
        assert track.frames_dropped == 10
        track.stop()
        running.cancel()


async def test_a_stopped_track_gives_nothing() -> None:
    track = VideoTrack(lambda: Broadcast(Source))
    track.stop()
    with pytest.raises(MediaStreamError):
        await track.recv()


async def test_sound_reaches_every_viewer_and_the_slow_miss_the_oldest() -> None:
    fan = SoundFan()
    tracks = [SoundTrack(fan), SoundTrack(fan)]
    async with asyncio.TaskGroup() as group:
        pulls = [group.create_task(track.recv()) for track in tracks]
        await asyncio.sleep(0)
        fan.deliver(Packet(b"first", 0))
        for pull in pulls:
            assert bytes(await pull) == b"first"
    for number in range(1, 13):
        fan.deliver(Packet(b"x", number * 480))
    packet = await tracks[0].recv()
    assert (packet.pts, packet.time_base) == (3 * 480, Fraction(1, 48_000))
    tracks[0].stop()
    assert len(fan._queues) == 1
