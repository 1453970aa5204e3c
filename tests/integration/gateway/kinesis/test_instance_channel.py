"""Every instance that streams is a channel, and the box its master."""

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from appliance.bus import subjects
from appliance.bus.messages import Role, SessionState, SessionStatus, StreamerHello
from appliance.bus.stats import InstanceStats, ViewerStats
from appliance.errors import NotFoundError
from appliance.gateway.kinesis.policies import Policy, Statement
from appliance.gateway.sessions import Sessions
from appliance.signaling import kinesis_master
from tests.support.cloud import Cloud
from tests.support.gateway import FakeAgent, FakeStreamer, serving, until
from tests.support.kvs import Lobby, open_lobby
from tests.support.room import process, specification

pytestmark = pytest.mark.integration


@pytest.fixture
async def agent(cloud: Cloud) -> AsyncIterator[FakeAgent]:
    there = FakeAgent(cloud.here.bus)
    async with serving(there):
        yield there


@pytest.fixture
async def session(agent: FakeAgent) -> str:
    return await agent.ask_for_session()


@pytest.fixture
async def desktop(cloud: Cloud, session: str) -> AsyncIterator[Lobby]:
    async with open_lobby(cloud, "desktop") as opened:
        yield opened


@pytest.fixture
async def streamer(cloud: Cloud, session: str) -> AsyncIterator[FakeStreamer]:
    fake = FakeStreamer(cloud.here.bus, session)
    async with serving(fake):
        yield fake


async def test_only_the_box_is_master(desktop: Lobby) -> None:
    assert (await desktop.refusal(desktop.url("MASTER")))[:2] == (403, "AccessDeniedException")


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (NotFoundError("no session"), (404, "ResourceNotFoundException")),
        (RuntimeError("a bug"), (500, "InternalFailure")),
    ],
)
async def test_what_goes_wrong_at_the_door_is_told_in_aws_words(
    desktop: Lobby, monkeypatch: pytest.MonkeyPatch, fault: Exception, told: tuple[int, str]
) -> None:
    async def fail(*_: object) -> None:
        raise fault

    monkeypatch.setattr(Sessions, "get", fail)
    assert (await desktop.refusal(desktop.url("VIEWER", "v1")))[:2] == told


async def test_a_box_that_drains_takes_no_viewer(agent: FakeAgent, desktop: Lobby) -> None:
    agent.draining = True
    await agent.announce()

    async def refused() -> bool:
        try:
            async with desktop.viewer("v1"):
                return False
        except aiohttp.WSServerHandshakeError as exc:
            return exc.status == 503

    await until(refused)


async def test_a_viewer_is_known_by_its_key_and_its_policy(
    cloud: Cloud, desktop: Lobby, streamer: FakeStreamer
) -> None:
    async with desktop.viewer("v1"):
        opening = await streamer.next("open")
        assert (opening.dialect, opening.role, opening.label) == ("kinesis", Role.CONTROL, "front v1")
        assert [each.urls for each in opening.ice_servers] == [["turn:turn.example.org:3478?transport=udp"]]
    only = Statement(Effect="Allow", Action=["kinesisvideo:*"], Resource=["desktop"])
    watcher = Lobby(
        await cloud.key("watcher", Policy(Statement=[only])), desktop.arn, desktop.endpoints, desktop.http
    )
    async with watcher.viewer("v1"):
        assert (await streamer.next("open")).role is Role.VIEW


async def test_what_was_not_answered_is_said_again_to_a_streamer_that_starts_anew(
    cloud: Cloud, session: str, desktop: Lobby
) -> None:
    async with desktop.viewer("v1") as viewer:
        async with serving(first := FakeStreamer(cloud.here.bus, session)):
            await first.next("open")
            await viewer.send("SDP_OFFER", "offer")
            await viewer.send("ICE_CANDIDATE", "v")
            said = [(await first.next("message")).text for _ in range(2)]
        async with serving(second := FakeStreamer(cloud.here.bus, session, resumed=True)):
            assert (await second.next("open")).resumed
            assert [(await second.next("message")).text for _ in range(2)] == said


async def test_a_streamer_that_says_hello_again_is_told_nothing_twice(
    cloud: Cloud, desktop: Lobby, streamer: FakeStreamer
) -> None:
    async with desktop.viewer("v1") as viewer:
        await viewer.send("SDP_OFFER", "offer")
        await streamer.next("message")
        await cloud.here.bus.publish(subjects.hello(streamer.session), StreamerHello(instance="i1"))
        assert (await streamer.next("open")).resumed
        await viewer.send("ICE_CANDIDATE", "v")
        assert "ICE_CANDIDATE" in (await streamer.next("message")).text


async def test_the_eleventh_viewer_of_an_instance_is_refused(desktop: Lobby, streamer: FakeStreamer) -> None:
    async with contextlib.AsyncExitStack() as stack:
        for number in range(10):
            await stack.enter_async_context(desktop.viewer(f"v{number}"))
        refused = await desktop.refusal(desktop.url("VIEWER", "v10"))
        assert refused[:2] == (400, "ClientLimitExceededException")


async def test_who_finds_the_box_full_is_told_before_the_upgrade(
    cloud: Cloud, session: str, desktop: Lobby, streamer: FakeStreamer
) -> None:
    there = [ViewerStats(id="owner-1", role=Role.CONTROL)]
    instance = f"{subjects.agent_of(session)}-i1"
    stats = InstanceStats(instance=instance, session=session, viewers=there, viewers_max=1)
    await cloud.here.bus.publish(subjects.stats(instance), stats)
    await until(lambda: cloud.here.gateway.viewers_of(session) == 1)
    refused = await desktop.refusal(desktop.url("VIEWER", "v1"))
    assert refused[:2] == (400, "ClientLimitExceededException")


async def test_bad_messages_are_refused_at_the_gateway(desktop: Lobby, streamer: FakeStreamer) -> None:
    async with desktop.viewer("v1") as viewer:
        await streamer.next("open")
        await viewer.send("DANCE", correlationId="c")
        assert (await viewer.status("c"))["errorType"] == "InvalidArgumentException"
        await viewer.send("ICE_CANDIDATE", "v")
        assert "ICE_CANDIDATE" in (await streamer.next("message")).text


async def test_the_newer_of_two_connections_of_a_viewer_takes_over(
    desktop: Lobby, streamer: FakeStreamer
) -> None:
    async with desktop.viewer("v1") as older:
        first = await streamer.next("open")
        async with desktop.viewer("v1") as newer:
            second = await streamer.next("open")
            assert (await streamer.next("kick")).peer == first.peer
            await older.send("ICE_CANDIDATE", "v", correlationId="c")
            assert (await older.status("c"))["errorType"] == "ResourceInUseException"
            answer = kinesis_master.answer("v=0")
            await streamer.say(first.peer, answer)
            await streamer.say(second.peer, answer)
            assert (await newer.got())[0] == "SDP_ANSWER"
            assert not older.ws.closed


async def test_a_streamer_that_starts_anew_is_not_told_of_who_was_taken_over_from(
    cloud: Cloud, session: str, desktop: Lobby
) -> None:
    async with serving(first := FakeStreamer(cloud.here.bus, session)), desktop.viewer("v1") as older:
        await first.next("open")
        await older.send("SDP_OFFER", "old")
        await first.next("message")
        async with desktop.viewer("v1") as newer:
            second = (await first.next("open")).peer
            await first.next("kick")
            await cloud.here.bus.publish(subjects.hello(session), StreamerHello(instance="i1"))
            await first.next("open")
            await newer.send("ICE_CANDIDATE", "v")
            await first.next("message")
            assert {each.peer for each in first.seen if each.resumed} == {second}


@contextlib.asynccontextmanager
async def showing(cloud: Cloud, session: str) -> AsyncIterator[None]:
    """A streamer with a picture."""
    spec = specification(cloud.here.server.address, session=session)
    async with (
        cloud.here.bus.subscribe(subjects.state(session), SessionState) as states,
        process(spec),
        asyncio.timeout(30),
    ):
        while (await anext(states))[1].status is not SessionStatus.ACTIVE:
            pass
        yield


class Caller:
    """A viewer with two pictures; all its candidates are in its offer, which is as long as it likes."""

    def __init__(self) -> None:
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.tracks: asyncio.Queue[Any] = asyncio.Queue()
        self.pc.on("track", lambda track: track.kind == "video" and self.tracks.put_nowait(track))

    async def offer(self, padded_bytes: int = 0) -> dict[str, str]:
        """Lines that mean nothing make its JSON so long."""
        self.pc.createDataChannel("kvsDataChannel")
        for kind in ("video", "video", "audio"):
            self.pc.addTransceiver(kind, direction="recvonly")
        await self.pc.setLocalDescription(await self.pc.createOffer())
        sdp = self.pc.localDescription.sdp
        left = padded_bytes - len(json.dumps({"type": "offer", "sdp": sdp}))
        padding = ""
        while left > 0:
            line = "a=ssrc:1 cname:".ljust(left - 4 if left < 200 else 96, "x")
            padding += line + "\r\n"
            left -= len(json.dumps(line + "\r\n")) - 2
        return {"type": "offer", "sdp": sdp.replace("a=mid:", padding + "a=mid:", 1)}

    async def sees(self, answer: dict[str, str]) -> None:
        """Wait for a picture."""
        await self.pc.setRemoteDescription(RTCSessionDescription(**answer))
        frame = await (await self.tracks.get()).recv()
        assert (frame.width, frame.height) == (320, 240)


@contextlib.asynccontextmanager
async def calling() -> AsyncIterator[Caller]:
    caller = Caller()
    try:
        yield caller
    finally:
        await caller.pc.close()


async def test_an_offer_may_be_64_kib_and_a_longer_one_is_refused_to_who_sent_it(
    cloud: Cloud, session: str, desktop: Lobby
) -> None:
    async with (
        showing(cloud, session),
        desktop.watcher("v1", "H264") as other,
        desktop.viewer("v2") as viewer,
        calling() as caller,
    ):
        offer = await caller.offer(49_152)
        assert len(base64.b64encode(json.dumps(offer).encode())) == 65_536
        await viewer.send("SDP_OFFER", offer | {"sdp": offer["sdp"] + "a"}, correlationId="long")
        told = await viewer.status("long")
        assert (told["errorType"], told["statusCode"]) == ("InvalidArgumentException", "400")
        assert told["description"].endswith("Member must have length less than or equal to 65536")
        await viewer.send("SDP_OFFER", offer, junk="x" * 900_000)
        kind, answer, _ = await viewer.got()
        assert kind == "SDP_ANSWER"
        await caller.sees(answer)
        await (await other.video).recv()


async def test_the_offer_of_a_display_without_a_socket_is_answered(
    cloud: Cloud, session: str, desktop: Lobby
) -> None:
    alexa = cloud.client(desktop.key, "kinesis-video-signaling")
    async with showing(cloud, session), calling() as caller:
        offer = base64.b64encode(json.dumps(await caller.offer()).encode()).decode()
        wish = {"ChannelARN": desktop.arn, "SenderClientId": "echo", "MessagePayload": offer}
        answer = (await alexa("send_alexa_offer_to_master", **wish))["Answer"]
        await caller.sees(json.loads(base64.b64decode(answer)))


async def test_viewers_see_the_picture_of_one_encoder_and_leave_nothing_behind(
    cloud: Cloud, session: str, desktop: Lobby
) -> None:
    async with (
        cloud.here.bus.subscribe(subjects.stats("i1"), InstanceStats) as all_stats,
        showing(cloud, session),
    ):
        async with desktop.watcher("v1", "H264") as first, desktop.watcher("v2", "VP8") as second:
            for watcher in (first, second):
                frame = await (await watcher.video).recv()
                assert (frame.width, frame.height) == (320, 240)
                assert '"control"' in str(await watcher.told.get()).replace("\\", "")
            async for _, stats in all_stats:
                codecs = {each.codec: each.dialect for each in stats.viewers if each.state == "connected"}
                if len(codecs) == 2:
                    break
            assert codecs == {"H264": "kinesis", "VP8": "kinesis"}
        async for _, stats in all_stats:
            if not stats.viewers:
                break
        assert stats.visits == 2
