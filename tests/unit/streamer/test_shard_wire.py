import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest

from appliance.bus.messages import Role
from appliance.bus.peer_messages import PeerEvent, PeerReply
from appliance.bus.spec import StreamerSpec
from appliance.bus.stats import ViewerStats
from appliance.errors import InvalidInputError, UnavailableError
from appliance.streamer.frames import Codec, EncodedFrame, SourceInfo
from appliance.streamer.shard import wire
from appliance.streamer.shard.wire import Frame, Item, Link, RenditionName
from appliance.streamer.talkspurts import EncodedAudio

pytestmark = pytest.mark.unit

NAME = RenditionName(Codec.VP8, second=True)
SPEC = StreamerSpec(instance="i", session="s", application="a", kind="test-pattern")
PEER = PeerEvent(kind="open", peer="p", role=Role.VIEW, text="ü")
ITEMS: list[Item] = [
    wire.Birth(spec=SPEC, codecs=[Codec.H264, Codec.VP8]),
    wire.Happened(event=PEER),
    wire.Drop(peer="p"),
    wire.Tick(stats={"fps": 30.0}),
    wire.Started(rendition=NAME, info=SourceInfo("X11", "x264", "", False, Codec.VP8, 320, 240)),
    wire.Failed(rendition=NAME, problem="no screen"),
    wire.Watch(rendition=NAME, wanted=True),
    wire.FrameWanted(rendition=NAME, keyframe=True),
    wire.BitrateWanted(rendition=NAME, kbps=300),
    wire.Said(peer="p", reply=PeerReply(kind="message", text="{}")),
    wire.Gone(peer="p", visited=True),
    wire.Report(viewers=[ViewerStats(id="p")], busy=True),
    Frame(NAME, EncodedFrame(bytes(300_000), True, 1 << 40, 1, 2, 3)),
    Frame(RenditionName(Codec.H264, second=False), EncodedFrame(b"", False, 0, 1, 2, 3)),
    EncodedAudio(b"opus", 480),
]


@contextlib.asynccontextmanager
async def links() -> AsyncIterator[tuple[Link, Link]]:
    left, right = [await Link.over(each) for each in socket.socketpair()]
    try:
        yield left, right
    finally:
        left.close()
        right.close()
        await asyncio.sleep(0)


async def test_everything_arrives_as_it_was_and_in_order() -> None:
    async with links() as (left, right):
        for item in ITEMS:
            left.send(item)
        assert [await right.receive() for _ in ITEMS] == ITEMS


async def test_whoever_waits_hears_that_the_other_side_is_gone() -> None:
    async with links() as (left, right):
        left.close()
        with pytest.raises(UnavailableError, match="gone"):
            await right.receive()


async def test_who_does_not_read_is_noticed() -> None:
    async with links() as (left, right):
        assert not left.full
        while not left.full:
            left.send(ITEMS[-3])
        draining = asyncio.wait_for(left.drain(), 5)
        async with asyncio.TaskGroup() as group:
            group.create_task(draining)
            for _ in range(5):
                await right.receive()
        assert not left.full


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (0, b"{}"),
        (0, b'{"kind": "none"}'),
        (0, b"\xff"),
        (1, b"short"),
        (1, b"\xff" * 40),
        (2, b""),
        (3, b""),
    ],
)
def test_what_makes_no_sense_is_refused(kind: int, body: bytes) -> None:
    with pytest.raises(InvalidInputError, match=f"kind {kind}"):
        wire.decode(kind, body)


async def test_an_item_without_end_is_refused() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        link = await Link.over(ours)
        theirs.sendall(b"\xff\xff\xff\xff\x00")
        with pytest.raises(InvalidInputError, match="bytes"):
            await link.receive()
        link.close()
        await asyncio.sleep(0)
