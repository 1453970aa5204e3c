"""SendAlexaOfferToMaster: an offer without a socket, and the master's answer to it."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from appliance.gateway.kinesis.policies import Policy, Statement
from appliance.gateway.kinesis.quotas import Room
from appliance.signaling import kinesis_master
from tests.support.cloud import Caller, Cloud
from tests.support.gateway import FakeAgent, FakeStreamer, serving
from tests.support.kvs import Lobby, open_lobby

pytestmark = pytest.mark.integration

OFFER = {"type": "offer", "sdp": "v=0"}
ANSWER = {"type": "answer", "sdp": "v=0 indeed"}


def encoded(content: Any) -> str:
    return base64.b64encode(json.dumps(content).encode()).decode()


@pytest.fixture
async def lobby(cloud: Cloud) -> AsyncIterator[Lobby]:
    async with open_lobby(cloud, "lobby") as opened:
        yield opened


@pytest.fixture
def alexa(cloud: Cloud, lobby: Lobby) -> Caller:
    return cloud.client(lobby.key, "kinesis-video-signaling")


async def asked(alexa: Caller, arn: str, **changes: str) -> Any:
    """What the master answers to `OFFER`."""
    wish = {"ChannelARN": arn, "SenderClientId": "echo.1", "MessagePayload": encoded(OFFER)} | changes
    answer = (await alexa("send_alexa_offer_to_master", **wish))["Answer"]
    return json.loads(base64.b64decode(answer))


async def refused(alexa: Caller, arn: str, **changes: str) -> tuple[int, str]:
    """Status and type of the error."""
    with pytest.raises(ClientError) as caught:
        await asked(alexa, arn, **changes)
    response = caught.value.response
    assert type(caught.value) is not ClientError, "not an error that the API knows"
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


async def test_the_offer_waits_for_a_master_and_its_answer_is_returned(lobby: Lobby, alexa: Caller) -> None:
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(asked(alexa, lobby.arn))
        async with lobby.master() as master:
            assert await master.got() == ("SDP_OFFER", OFFER, "echo.1")
            await master.send("ICE_CANDIDATE", "m", to="echo.1")
            await master.send("SDP_ANSWER", ANSWER, to="echo.1")
            assert await asking == ANSWER
            again = group.create_task(asked(alexa, lobby.arn))
            assert await master.got() == ("SDP_OFFER", OFFER, "echo.1")
            await master.send("SDP_ANSWER", ANSWER | {"sdp": "another"}, to="echo.1")
            assert (await again)["sdp"] == "another"


async def test_an_answer_to_an_earlier_offer_is_not_returned(lobby: Lobby, alexa: Caller) -> None:
    async with lobby.master() as master, asyncio.TaskGroup() as group:
        await master.send("SDP_ANSWER", "too late", to="echo.1")
        await master.send("DANCE", to="echo.1", correlationId="sync")
        await master.status("sync")
        asking = group.create_task(asked(alexa, lobby.arn))
        await master.got()
        await master.send("SDP_ANSWER", ANSWER, to="echo.1")
        assert await asking == ANSWER


async def test_an_offer_that_expires_is_a_channel_that_is_not_active(cloud: Cloud, lobby: Lobby) -> None:
    channels = cloud.here.gateway._context.channels
    await channels.update(lobby.arn, lambda old: old.model_copy(update={"ttl_s": 1}))
    alexa = cloud.client(lobby.key, "kinesis-video-signaling")
    assert await refused(alexa, lobby.arn) == (404, "ResourceNotFoundException")


async def test_bad_calls_are_refused_as_errors_that_the_sdk_knows(
    cloud: Cloud, lobby: Lobby, alexa: Caller
) -> None:
    invalid = (400, "InvalidArgumentException")
    assert await refused(alexa, lobby.arn, SenderClientId="aws_x") == invalid
    assert await refused(alexa, lobby.arn, SenderClientId="a b") == invalid
    assert await refused(alexa, lobby.arn, MessagePayload="{}") == invalid
    assert await refused(alexa, lobby.arn, MessagePayload="A" * 10_001) == invalid
    assert await refused(alexa, lobby.arn + "1") == (404, "ResourceNotFoundException")
    only = Statement(Effect="Allow", Action=["kinesisvideo:ConnectAsViewer"], Resource=["*"])
    watcher = cloud.client(await cloud.key("watcher", Policy(Statement=[only])), "kinesis-video-signaling")
    assert await refused(watcher, lobby.arn) == (401, "NotAuthorizedException")


async def test_offers_without_a_socket_have_no_more_room_than_others(
    lobby: Lobby, alexa: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Room, "allows", lambda *_, **__: False)
    assert await refused(alexa, lobby.arn) == (400, "ClientLimitExceededException")


async def test_a_newer_connection_of_the_client_takes_over(lobby: Lobby, alexa: Caller) -> None:
    async with asyncio.TaskGroup() as group, lobby.master() as master:
        asking = group.create_task(refused(alexa, lobby.arn))
        await master.got()
        async with lobby.viewer("echo.1"):
            assert await asking == (400, "ClientLimitExceededException")


async def test_a_box_answers_for_its_instance(cloud: Cloud) -> None:
    async with serving(agent := FakeAgent(cloud.here.bus)):
        session = await agent.ask_for_session()
        async with (
            open_lobby(cloud, "desktop") as desktop,
            serving(streamer := FakeStreamer(cloud.here.bus, session)),
            asyncio.TaskGroup() as group,
        ):
            alexa = cloud.client(desktop.key, "kinesis-video-signaling")
            asking = group.create_task(asked(alexa, desktop.arn))
            opening = await streamer.next("open")
            assert (opening.dialect, opening.label) == ("kinesis", "front echo.1")
            assert "SDP_OFFER" in (await streamer.next("message")).text
            await streamer.say(opening.peer, kinesis_master.answer("v=0 of the box"))
            assert await asking == {"type": "answer", "sdp": "v=0 of the box"}
            assert (await streamer.next("close")).peer == opening.peer
            assert await refused(alexa, desktop.arn, MessagePayload=encoded("v=0")) == (
                400,
                "InvalidArgumentException",
            )
