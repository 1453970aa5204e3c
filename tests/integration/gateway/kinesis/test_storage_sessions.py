"""Storage sessions: the box asks the master itself, and shows to viewers what it records."""

import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from appliance.bus.peer_messages import PeerEvent
from appliance.gateway.kinesis.policies import Policy, Statement
from appliance.signaling import kinesis, kinesis_master
from appliance.signaling.kinesis import Action, Request
from tests.support.cloud import Caller, Cloud
from tests.support.gateway import FakeAgent, FakeStreamer, serving, until
from tests.support.kvs import Lobby, open_lobby

pytestmark = pytest.mark.integration

OFFER = {"type": "offer", "sdp": "v=0"}


@pytest.fixture
async def agent(cloud: Cloud) -> AsyncIterator[FakeAgent]:
    there = FakeAgent(cloud.here.bus)
    async with serving(there):
        yield there


@pytest.fixture
async def door(cloud: Cloud, video: Caller) -> AsyncIterator[Lobby]:
    """A channel with media storage."""
    async with open_lobby(cloud, "door") as opened:
        await store(video, opened.arn)
        yield opened


@pytest.fixture
async def storage(cloud: Cloud, door: Lobby) -> Caller:
    return cloud.client(door.key, "kinesis-video-webrtc-storage")


async def store(video: Caller, arn: str, status: str = "ENABLED") -> None:
    await video(
        "update_media_storage_configuration", ChannelARN=arn, MediaStorageConfiguration={"Status": status}
    )


async def join(storage: Caller, door: Lobby, agent: FakeAgent) -> str:
    """The session that it leads to."""
    await storage("join_storage_session", channelArn=door.arn)
    (launched,) = agent.launched
    assert (launched.application, launched.channel, launched.record) == ("door", door.arn, True)
    await agent.announce()
    return launched.session


def told(event: PeerEvent) -> Any:
    """What the streamer hears in a message."""
    said = json.loads(event.text)
    return said["messageType"], json.loads(base64.b64decode(said["messagePayload"]))


async def test_the_offer_comes_from_nobody_and_the_answer_goes_to_nobody(
    cloud: Cloud, door: Lobby, storage: Caller, agent: FakeAgent
) -> None:
    async with door.master() as master:
        session = await join(storage, door, agent)
        async with serving(streamer := FakeStreamer(cloud.here.bus, session)):
            opening = await streamer.next("open")
            assert opening.source
            payload = kinesis.description("offer", "v=0")
            await streamer.say(opening.peer, kinesis.request(Request(Action.OFFER, payload)))
            assert "senderClientId" not in (offer := await master.next())
            assert (offer["messageType"], offer["messagePayload"]) == ("SDP_OFFER", OFFER)
            await master.send("SDP_ANSWER", "answer")
            await master.send("ICE_CANDIDATE", "candidate")
            heard = [told(await streamer.next("message")) for _ in range(2)]
            assert heard == [("SDP_ANSWER", "answer"), ("ICE_CANDIDATE", "candidate")]


async def test_who_joins_again_finds_the_same_session(door: Lobby, storage: Caller, agent: FakeAgent) -> None:
    session = await join(storage, door, agent)
    assert await join(storage, door, agent) == session


async def test_viewers_see_what_is_recorded_and_not_the_master(
    cloud: Cloud, door: Lobby, storage: Caller, agent: FakeAgent
) -> None:
    async with door.master() as master, door.viewer("v1") as viewer:
        await viewer.send("SDP_OFFER", OFFER)
        session = await join(storage, door, agent)
        async with serving(streamer := FakeStreamer(cloud.here.bus, session)):
            await until(
                lambda: {"open", "message"} <= {each.kind for each in streamer.seen if not each.source}
            )
            watching, offer = (
                next(each for each in streamer.seen if each.kind == kind and not each.source)
                for kind in ("open", "message")
            )
            assert (watching.dialect, watching.label) == ("kinesis", "front v1")
            assert "SDP_OFFER" in offer.text
            await until(lambda: any(each.source for each in streamer.seen))
            way = next(each for each in streamer.seen if each.source)
            payload = kinesis.description("offer", "ours")
            await streamer.say(way.peer, kinesis.request(Request(Action.OFFER, payload)))
            assert (await master.got())[1] == {"type": "offer", "sdp": "ours"}


async def test_without_media_storage_there_is_nothing_to_join(
    video: Caller, door: Lobby, storage: Caller, agent: FakeAgent
) -> None:
    session = await join(storage, door, agent)
    await store(video, door.arn, "DISABLED")
    await until(lambda: [each.session for each in agent.stopped] == [session])
    with pytest.raises(storage.client.exceptions.InvalidArgumentException):
        await storage("join_storage_session", channelArn=door.arn)
    with pytest.raises(storage.client.exceptions.ResourceNotFoundException):
        await storage("join_storage_session", channelArn=door.arn.replace("door", "gate"))


async def test_who_may_not_join_is_told_so(cloud: Cloud, door: Lobby, agent: FakeAgent) -> None:
    only = Statement(Effect="Allow", Action=["kinesisvideo:ConnectAsMaster"], Resource=["*"])
    key = await cloud.key("camera", Policy(Statement=[only]))
    storage = cloud.client(key, "kinesis-video-webrtc-storage")
    with pytest.raises(storage.client.exceptions.AccessDeniedException) as refused:
        await storage("join_storage_session", channelArn=door.arn)
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert not agent.launched


async def test_nobody_but_the_master_itself_has_it_asked_for_its_picture(
    cloud: Cloud, door: Lobby, storage: Caller, agent: FakeAgent
) -> None:
    async with door.master():
        token = await cloud.here.token()
        status, body = await cloud.here.api("POST", "/1.0/sessions", token, json={"app": "door"})
        assert status == 201
        session = body["metadata"]["id"]
        async with serving(streamer := FakeStreamer(cloud.here.bus, session)), door.viewer("v1"):
            await streamer.next("open")
            assert not any(each.source for each in streamer.seen)
            assert await join(storage, door, agent) == session
            assert (await streamer.next("open")).source


async def test_a_viewer_that_joins_is_sent_an_offer(
    cloud: Cloud, door: Lobby, storage: Caller, agent: FakeAgent
) -> None:
    session = await join(storage, door, agent)
    async with serving(streamer := FakeStreamer(cloud.here.bus, session)), door.viewer("v1"):
        await until(lambda: any(each.kind == "open" for each in streamer.seen))
        await storage("join_storage_session_as_viewer", channelArn=door.arn, clientId="somebody")
        await storage("join_storage_session_as_viewer", channelArn=door.arn, clientId="v1")
        assert kinesis_master.parse((await streamer.next("message")).text) == kinesis_master.Join()
    with pytest.raises(storage.client.exceptions.InvalidArgumentException):
        await storage("join_storage_session_as_viewer", channelArn=door.arn, clientId="a b")
