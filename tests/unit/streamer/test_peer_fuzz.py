"""A viewer that says anything at all: its own trouble, and nothing stays behind."""

import asyncio
import gc
import json

import psutil
import pytest

from appliance.bus.messages import Role, ScreenWish
from appliance.bus.peer_messages import PeerEvent, PeerReply
from appliance.bus.spec import StreamerSpec
from appliance.signaling.control import ControlMessage
from appliance.streamer import peer as peer_module
from appliance.streamer.broadcast import Broadcast
from appliance.streamer.frames import Codec
from appliance.streamer.peer import Peer
from appliance.streamer.sources import Sources
from appliance.streamer.stage import Stage
from appliance.streamer.tracks import SoundFan
from tests.support.signals import WHOLE, corpus

pytestmark = [pytest.mark.unit, pytest.mark.timeout(600)]

GROWTH_BYTES = 8 << 20
UNKNOWN, UNKNOWN_REASON = '{"type": "settings", "api_version": 77}', "api_version: 77 is not served"


class NoInput:
    def handle(self, viewer: str, role: Role, message: ControlMessage) -> None:
        raise AssertionError("nobody is connected")

    def holds(self, viewer: str) -> bool:
        return False

    def release(self, viewer: str) -> None:
        return


class Forbidden:
    def __init__(self) -> None:
        raise NotImplementedError


async def _no_resize(_: ScreenWish) -> None:
    return


class House:
    """A peer without a bus that reads one text after the other."""

    def __init__(self) -> None:
        self.replies: asyncio.Queue[PeerReply] = asyncio.Queue()
        stage = Stage(
            spec=StreamerSpec(instance="i", session="s", application="a", kind="test-pattern"),
            sources=Sources({Codec.H264: Broadcast(Forbidden)}, SoundFan()),
            input=NoInput(),
            size=lambda: (640, 480),
            fps=lambda: 60,
            problem=lambda: "",
            resize=_no_resize,
        )
        self.peer = Peer(
            PeerEvent(kind="open", peer="p", role=Role.CONTROL),
            stage,
            reply=lambda _, reply: self.replies.put_nowait(reply),
            adopt=lambda *_: False,
        )

    async def hear(self, text: str) -> None:
        """Say `text` and wait until it is dealt with: what is said after it has its answer."""
        self.peer.receive(text)
        self.peer.receive(UNKNOWN)
        async with asyncio.timeout(10):
            while UNKNOWN_REASON not in (await self.replies.get()).text:
                pass


async def test_a_viewer_that_says_anything_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer_module, "_ATTEMPT_SECONDS", 0.001)
    texts = corpus()
    warm = [json.dumps(each) for each in WHOLE] + texts[: len(texts) // 5]
    house, process = House(), psutil.Process()
    async with asyncio.TaskGroup() as group:
        group.create_task(house.peer.run())
        for text in warm:
            await house.hear(text)
        gc.collect()
        before, tasks = process.memory_info().rss, len(asyncio.all_tasks())
        for text in texts:
            await house.hear(text)
        gc.collect()
        assert not house.peer.ended
        assert process.memory_info().rss - before < GROWTH_BYTES
        assert len(asyncio.all_tasks()) <= tasks + 4
        house.peer.end("the test is over")
