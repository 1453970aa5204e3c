"""A viewer of a storage session does not offer: it asks for an offer."""

import pytest
from aiortc import RTCSessionDescription

from appliance.bus.connection import Bus
from appliance.bus.server import EmbeddedServer
from appliance.signaling import kinesis, kinesis_master
from appliance.signaling.anbox import Offer
from appliance.signaling.kinesis import Action, Delivery, Request
from tests.support.room import Visit, specification, streamer

pytestmark = pytest.mark.integration


async def test_who_joins_is_offered_the_picture_and_answers(
    server: EmbeddedServer, bus: Bus, visit: Visit
) -> None:
    async with streamer(bus, specification(server.address)):
        viewer = await visit()
        await viewer.open(dialect="kinesis")
        await viewer.publish("message", kinesis_master.JOIN)
        told = kinesis.read_event((await anext(viewer._replies))[1].text)
        assert isinstance(told, Delivery)
        assert (told.action, told.sender) == (Action.OFFER, "")
        offer = kinesis.read_payload(told.action, told.payload)
        assert isinstance(offer, Offer)
        await viewer.pc.setRemoteDescription(RTCSessionDescription(offer.sdp, "offer"))
        await viewer.pc.setLocalDescription(await viewer.pc.createAnswer())
        payload = kinesis.description("answer", viewer.pc.localDescription.sdp)
        await viewer.publish("message", kinesis.request(Request(Action.ANSWER, payload)))
        assert {(each.width, each.height) for each in await viewer.frames(3)} == {(320, 240)}
