"""A camera that aiortc plays is received by us: every codec, a bad network, comings and goings."""

import asyncio
import contextlib
import itertools
import random
import re
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any
from unittest.mock import MagicMock

import av
import pytest
from aiortc.rtp import RtpPacket, unpack_remb_fci

from appliance.bus.peer_messages import PeerEvent, PeerReply
from appliance.signaling import kinesis
from appliance.signaling.anbox import Offer
from appliance.signaling.kinesis import Action, Delivery
from appliance.streamer.frames import Codec, EncodedFrame
from appliance.streamer.ingest import receiver
from appliance.streamer.ingest.brake import Brake
from appliance.streamer.ingest.ingest import AWAY, Ingest
from appliance.streamer.ingest.source import IngestSource
from appliance.streamer.talkspurts import EncodedAudio
from tests.support.camera import Camera

pytestmark = [pytest.mark.integration, pytest.mark.timeout(30)]


class Scene:
    """What a streamer has of an ingest, and a gateway that opens the way to cameras."""

    def __init__(self) -> None:
        self.offers: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self.sound: asyncio.Queue[EncodedAudio] = asyncio.Queue()
        self.frames: asyncio.Queue[EncodedFrame] = asyncio.Queue()
        self.found: list[Codec] = []
        self.ingest = Ingest(self.found.append, self.sound.put_nowait, kbps=3000)
        self.started = asyncio.Event()
        self._decoder: Any = None

    def open(self, peer: str) -> None:
        self.ingest.hear(PeerEvent(kind="open", peer=peer, source=True), self._reply)

    def _reply(self, peer: str, reply: PeerReply) -> None:
        said = kinesis.parse(reply.text, master=False)
        assert isinstance(said, kinesis.Request)
        offer = kinesis.read_payload(said.action, said.payload)
        assert isinstance(offer, Offer)
        self.offers.put_nowait((peer, offer.sdp))

    async def connect(self, camera: Camera, edit: Callable[[str], str] = str) -> str:
        """Let `camera` answer the next offer; returns that."""
        peer, sdp = await self.offers.get()
        payload = kinesis.description("answer", edit(await camera.answer(sdp)))
        text = kinesis.deliver(Delivery(Action.ANSWER, payload))
        self.ingest.hear(PeerEvent(kind="message", peer=peer, text=text, source=True), self._reply)
        return sdp

    @contextlib.asynccontextmanager
    async def watched(self) -> AsyncIterator[IngestSource]:
        await self.ingest.settled()
        source = IngestSource(self.ingest, self.found[0], "lobby")
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(source.run(self.frames.put_nowait, self.started))
            yield source
            watching.cancel()

    async def see(self, count: int) -> list[EncodedFrame]:
        """The next frames, all decoded; the first one that was ever seen is a keyframe."""
        frames = [await self.frames.get() for _ in range(count)]
        name = {"H264": "h264", "VP8": "vp8"}[self.found[0]]
        self._decoder = self._decoder or av.CodecContext.create(name, "r")
        decoded = [picture for frame in frames for picture in self._decoder.decode(av.Packet(frame.data))]
        assert len(decoded) >= count - 1
        assert [each.timestamp for each in frames] == sorted({each.timestamp for each in frames})
        return frames


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    scene = Scene()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(scene.ingest.run(None))
        yield scene
        running.cancel()


@contextlib.asynccontextmanager
async def filming(camera: Camera) -> AsyncIterator[Camera]:
    try:
        yield camera
    finally:
        await camera.close()


@pytest.mark.parametrize("codec", list(Codec))
async def test_picture_and_sound_arrive_as_they_were_encoded(
    scene: Scene, codec: Codec, monkeypatch: pytest.MonkeyPatch
) -> None:
    queues = MagicMock(return_value=False)
    monkeypatch.setattr(Brake, "add", queues)
    async with filming(Camera(codec)) as camera:
        assert scene.ingest.problem == AWAY
        scene.open("source-1")
        offer = await scene.connect(camera)
        assert "transport-cc" not in offer
        async with scene.watched() as source:
            frames = await scene.see(10)
            assert frames[0].keyframe
            assert queues.called, "packets say when they left"
            assert scene.started.is_set()
            assert (source.info.codec, source.info.width, source.info.height) == (codec, 320, 240)
            assert not scene.ingest.problem
            sound = [await scene.sound.get() for _ in range(5)]
            steps = {b.timestamp - a.timestamp for a, b in itertools.pairwise(sound)}
            assert steps == {960}
            plis = camera.plis
            source.request_keyframe()
            while not (await scene.frames.get()).keyframe:
                continue
            assert camera.plis > plis
            while not camera.limits:
                await scene.frames.get()
            assert unpack_remb_fci(camera.limits[-1])[0] == pytest.approx(3_000_000, rel=0.01)
        await camera.ended.wait()  # nobody watches: it need not send


def lossy(every: int) -> Callable[[RtpPacket], Iterable[RtpPacket]]:
    """Loses each packet with this number once, and swaps those before."""
    held: list[RtpPacket] = []

    def spoil(packet: RtpPacket) -> Iterable[RtpPacket]:
        match packet.sequence_number % every:
            case 0:
                return []
            case 5:
                held.append(packet)
                return []
            case 6:
                late = held.copy()
                held.clear()
                return [packet, *late, packet]
        return [packet]

    return spoil


@pytest.mark.parametrize("codec", list(Codec))
async def test_what_is_lost_or_late_is_asked_for_and_put_in_order(
    scene: Scene, codec: Codec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiver, "_PICTURE_PATIENCE_S", 5)  # and a machine that stands still
    async with filming(Camera(codec, spoil=lossy(17))) as camera:
        scene.open("source-1")
        await scene.connect(camera)
        async with scene.watched():
            await scene.see(20)
            nacks, plis = camera.nacks, camera.plis
            await scene.see(30)
            assert camera.nacks > nacks
            assert camera.plis == plis, "retransmissions serve"


async def test_garbage_costs_frames_and_nothing_else(scene: Scene) -> None:
    chance = random.Random(7)  # noqa: S311

    def spoil(packet: RtpPacket) -> Iterable[RtpPacket]:
        if chance.random() < 0.05:
            packet.payload = chance.randbytes(chance.choice((0, 1, 2, 30, 900)))
            packet.timestamp ^= chance.choice((0, 1, 1 << 31))
        return [packet]

    async with filming(Camera(spoil=spoil)) as camera:
        scene.open("source-1")
        await scene.connect(camera)
        async with scene.watched():
            seen = [await scene.frames.get() for _ in range(15)]
            assert seen[0].keyframe
            assert camera.plis
            stamps = [each.timestamp for each in seen]
            assert stamps == sorted(set(stamps))


async def test_a_camera_that_comes_anew_is_offered_its_codec_again(scene: Scene) -> None:
    first, second = Camera("VP8"), Camera("VP8", sound=False)
    async with filming(first), filming(second):
        scene.open("source-1")
        await scene.connect(first)
        async with scene.watched():
            before = await scene.see(5)
            scene.ingest.hear(PeerEvent(kind="close", peer="source-1", source=True), print)
            await first.close()
            while scene.ingest.problem != AWAY:
                await asyncio.sleep(0.05)
            while not scene.frames.empty():
                before.append(scene.frames.get_nowait())
            scene.open("source-2")
            offer = await scene.connect(second)
            assert ("VP8" in offer, "H264" in offer) == (True, False)
            after = await scene.see(5)
            assert after[0].keyframe
            assert after[0].timestamp > before[-1].timestamp
            assert not scene.ingest.problem


@pytest.mark.parametrize("told", [True, False])
async def test_an_offer_whose_way_is_gone_is_made_again_by_the_next_one(scene: Scene, told: bool) -> None:
    async with filming(Camera()) as camera:
        scene.open("source-1")
        assert (await scene.offers.get())[0] == "source-1"
        if told:
            scene.ingest.hear(PeerEvent(kind="close", peer="source-1", source=True), print)
        scene.open("source-2")
        async with asyncio.timeout(5):  # an answer is waited for longer
            await scene.connect(camera)
        async with scene.watched():
            await scene.see(3)
        assert not scene.ingest.problem


def without(kind: str) -> Callable[[str], str]:
    """An answer that rejects the media of this kind, RFC 8829 section 5.3.1."""

    def edit(sdp: str) -> str:
        mid = {"video": "0", "audio": "1"}[kind]
        sdp = re.sub(rf"m={kind} \d+ ", f"m={kind} 0 ", sdp)
        return re.sub(r"a=group:BUNDLE .*", f"a=group:BUNDLE {1 - int(mid)}", sdp)

    return edit


async def test_a_camera_that_rejects_the_sound_is_offered_none(scene: Scene) -> None:
    mute, silent = Camera(), Camera(sound=False)
    async with filming(mute), filming(silent):
        scene.open("source-1")
        assert "m=audio" in await scene.connect(mute, without("audio"))
        assert "m=audio" not in await scene.connect(silent)
        async with scene.watched():
            await scene.see(3)


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        (without("video"), "the camera sends no picture in H.264 or VP8"),
        (lambda _: "v=0", "the camera's sdp: must have 1 to 8 media"),
        (lambda sdp: sdp.replace("a=mid:0", "a=mid:7"), "the camera's sdp: BUNDLE must have all media"),
        (lambda sdp: sdp.replace("a=sendonly", "a=inactive"), "the camera sends no picture in H.264 or VP8"),
    ],
)
async def test_what_is_no_answer_is_said_and_offered_again(
    scene: Scene, edit: Callable[[str], str], problem: str
) -> None:
    bad, good = Camera(), Camera()
    async with filming(bad), filming(good):
        scene.open("source-1")
        await scene.connect(bad, edit)
        while scene.ingest.problem == AWAY:
            await asyncio.sleep(0.01)
        assert scene.ingest.problem.startswith(problem)
        scene.open("source-2")  # not after the pause, but at once
        await scene.connect(good)
        async with scene.watched():
            await scene.see(3)
