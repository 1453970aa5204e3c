"""A real streamer that shows a camera: viewers come before it does, it goes, another of its kind comes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from appliance.bus import subjects
from appliance.bus.connection import Bus
from appliance.bus.messages import Done, SessionState, SessionStatus, StreamerHello
from appliance.bus.peer_messages import PeerEvent, PeerReply
from appliance.bus.server import EmbeddedServer
from appliance.errors import InvalidInputError
from appliance.signaling import kinesis
from appliance.signaling.anbox import Offer
from appliance.signaling.kinesis import Action, Delivery
from tests.support.camera import Camera
from tests.support.room import SESSION, Viewer, Visit, process, specification

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]


class Way:
    """What the gateway opens between the streamer and `camera`; it counts the streamer's offers."""

    def __init__(self, bus: Bus, peer: str, camera: Camera) -> None:
        self.offers = 0
        self._bus = bus
        self._peer = peer
        self._camera = camera

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator["Way"]:
        async with (
            self._bus.subscribe(subjects.down(SESSION, self._peer), PeerReply) as replies,
            asyncio.TaskGroup() as group,
        ):
            opening = PeerEvent(kind="open", peer=self._peer, source=True)
            await self._bus.request(subjects.up(SESSION), opening, Done)
            answering = group.create_task(self._answer(replies))
            yield self
            answering.cancel()
            await self._camera.close()
            await self._publish("close")

    async def _answer(self, replies: AsyncIterator[tuple[str, PeerReply]]) -> None:
        async for _, reply in replies:
            said = kinesis.parse(reply.text, master=False)
            assert isinstance(said, kinesis.Request)
            offer = kinesis.read_payload(said.action, said.payload)
            assert isinstance(offer, Offer)
            self.offers += 1
            payload = kinesis.description("answer", await self._camera.answer(offer.sdp))
            await self._publish("message", kinesis.deliver(Delivery(Action.ANSWER, payload)))

    async def _publish(self, kind: str, text: str = "") -> None:
        event = PeerEvent.model_validate({"kind": kind, "peer": self._peer, "text": text, "source": True})
        await self._bus.publish(subjects.up(SESSION), event)


async def notice(viewer: Viewer) -> str:
    return str((await viewer.told("fanlight::notice"))["text"])


async def test_viewers_of_a_camera(server: EmbeddedServer, bus: Bus, visit: Visit) -> None:
    spec = specification(server.address, kind="channel", application="porch", encoders=[], viewers_max=9)
    async with (
        bus.subscribe(subjects.hello(SESSION), StreamerHello) as hellos,
        bus.subscribe(subjects.state(SESSION), SessionState) as states,
        process(spec),
    ):
        await anext(hellos)
        early = await visit()
        await early.open()
        await early.send("discover")
        await early.expect("resp:discover")
        await early.send("settings", api_version=2)
        assert (await early.expect("fanlight::wait"))["reason"] == "the camera is away"
        async with Way(bus, "source-1", Camera("VP8")).open() as way:
            offer = await early.expect("offer")
            assert offer["sdp"]
            state = (await anext(states))[1]
            assert state.status is SessionStatus.ACTIVE
            viewers = [await visit() for _ in range(5)]
            for each in viewers:
                await each.open()
                await each.watch(enable_speaker=False)
                assert {(frame.width, frame.height) for frame in await each.frames(5)} == {(320, 240)}
                assert "VP8" in each.offer
                assert "H264" not in each.offer
            assert way.offers == 1, "all of them have one way to the camera"
            stats = await viewers[0].told("fanlight::stats")
            assert (stats["encoder"], stats["codec"], stats["problem"]) == ("the camera's own", "VP8", "")
        assert await notice(viewers[0]) == "the camera is away"
        async with Way(bus, "source-2", Camera("VP8", sound=False)).open():
            before = (await viewers[0].frames(1))[0].pts
            assert (await viewers[0].frames(20))[-1].pts > before


async def test_a_source_is_refused_where_none_is_wanted(server: EmbeddedServer, bus: Bus) -> None:
    async with (
        bus.subscribe(subjects.hello(SESSION), StreamerHello) as hellos,
        process(specification(server.address)),
    ):
        await anext(hellos)
        with pytest.raises(InvalidInputError, match="no master's"):
            await bus.request(subjects.up(SESSION), PeerEvent(kind="open", peer="p", source=True), Done)
