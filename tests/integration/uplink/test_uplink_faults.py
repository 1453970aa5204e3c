"""What the cloud may do to its master, and what the box then says."""

import base64
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from appliance.bus import subjects
from appliance.bus.messages import IceServer, Role, StreamerHello
from appliance.bus.stats import ViewerStats
from appliance.errors import LimitExceededError
from appliance.signaling import kinesis_master
from appliance.uplink import connection
from tests.support.gateway import serving
from tests.support.kvs_stand_in import StandIn, stand_in
from tests.support.uplink_site import INSTANCE, SESSION, Site, uplinked

pytestmark = pytest.mark.integration

ICE = "/v1/get-ice-server-config"
SKEWED = (
    "Signature expired: 20261121T120000Z is now earlier than 20261121T125500Z (20261121T130000Z - 5 min.)"
)


@pytest.fixture
async def cloud() -> AsyncIterator[StandIn]:
    async with stand_in() as there:
        yield there


@pytest.fixture
async def site(cloud: StandIn, tmp_path: Path) -> AsyncIterator[Site]:
    async with uplinked(tmp_path, cloud.url) as here:
        yield here


async def test_a_viewer_becomes_a_peer_of_the_session(cloud: StandIn, site: Site) -> None:
    socket = await cloud.socket()
    assert socket.query["X-Amz-Expires"] == "299"
    async with serving(streamer := site.streamer()):
        await socket.say("ICE_CANDIDATE", "early", sender="v1")
        await socket.say("SDP_OFFER", "offer", sender="v1")
        await socket.say("ICE_CANDIDATE", "late", sender="v1")
        opening = await streamer.next("open")
        assert (opening.dialect, opening.role, opening.label) == ("kinesis", Role.VIEW, "cloud v1")
        assert opening.ice_servers == [
            IceServer(urls=["turn:turn.example.org:443?transport=udp"], username="1:u", password="p")
        ]
        said = [(await streamer.next("message")).text for _ in range(3)]
        assert ["SDP_OFFER" in each for each in said] == [True, False, False]
        await streamer.say(opening.peer, kinesis_master.answer("v=0"))
        answer = await socket.next()
        assert (answer["action"], answer["recipientClientId"]) == ("SDP_ANSWER", "v1")
        assert answer["correlationId"]
        await site.tell(ViewerStats(id=opening.peer, state="connected"))
        assert (await streamer.next("close")).peer == opening.peer
        await site.reads("connected as master of demo in eu-north-1; 1 viewer")
        await site.tell()
        await site.reads("0 viewers")


async def test_a_new_offer_of_the_same_viewer_takes_the_place_of_the_old_one(
    cloud: StandIn, site: Site
) -> None:
    socket = await cloud.socket()
    async with serving(streamer := site.streamer()):
        await socket.say("SDP_OFFER", "first", sender="v1")
        first = await streamer.next("open")
        await streamer.say(first.peer, kinesis_master.answer("v=0"))
        await socket.next()
        await site.tell(ViewerStats(id=first.peer, state="connected"))
        await streamer.next("close")
        await socket.say("SDP_OFFER", "second", sender="v1")
        assert (await streamer.next("open")).peer == first.peer
        await streamer.next("message")
        assert cloud.calls[ICE] == 1
        await socket.say("RECONNECT_ICE_SERVER")
        await socket.say("SDP_OFFER", "third", sender="v1")
        await streamer.next("open")
        assert cloud.calls[ICE] == 2


async def test_told_to_go_away_it_connects_anew_and_its_viewers_stay(cloud: StandIn, site: Site) -> None:
    socket = await cloud.socket()
    async with serving(streamer := site.streamer()):
        await socket.say("SDP_OFFER", "offer", sender="v1")
        opening = await streamer.next("open")
        await socket.say("GO_AWAY")
        second = await cloud.socket()
        await socket.closed.wait()
        await streamer.say(opening.peer, kinesis_master.answer("v=0"))
        assert (await second.next())["recipientClientId"] == "v1"
        await second.ws.close(code=1001, message=b"Going away")
        await (await cloud.socket()).say("SDP_OFFER", "offer", sender="v2")
        assert (await streamer.next("open")).label == "cloud v2"
        assert [each.kind for each in streamer.seen if each.peer == opening.peer] == ["open", "message"]


async def test_a_service_that_fell_silent_is_left(
    cloud: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_PING_SECONDS", 0.2)
    cloud.answers_pings = False
    async with uplinked(tmp_path, cloud.url):
        await cloud.socket()
        cloud.answers_pings = True
        await cloud.socket()


async def test_what_it_does_not_understand_it_passes_over(cloud: StandIn, site: Site) -> None:
    socket = await cloud.socket()
    async with serving(streamer := site.streamer()):
        for text in ("", "{}", "no json", '{"messageType":"SDP_OFFER"}', '{"messageType":"NEWS"}'):
            await socket.ws.send_str(text)
        await socket.ws.send_bytes(b"\x00")
        await socket.say("SDP_OFFER", "of nobody")
        await socket.say("SDP_ANSWER", "of a viewer", sender="v0")
        await socket.say("SDP_OFFER", "of a liar", sender="a\nb")
        await socket.say("SDP_OFFER", "offer", sender="v1")
        assert (await streamer.next("open")).label == "cloud v1"
    assert cloud.sockets.empty()


async def test_what_was_not_answered_is_said_again_to_a_streamer_that_starts_anew(
    cloud: StandIn, site: Site
) -> None:
    socket = await cloud.socket()
    async with serving(first := site.streamer()):
        await socket.say("SDP_OFFER", "offer", sender="v1")
        said = (await first.next("message")).text
    async with serving(second := site.streamer()):
        opening = await second.next("open")
        assert (await second.next("message")).text == said
        await second.hang_up(opening.peer)
        await second.next("close")


async def test_a_streamer_that_says_hello_again_is_told_nothing_twice(cloud: StandIn, site: Site) -> None:
    socket = await cloud.socket()
    async with serving(streamer := site.streamer()):
        await socket.say("SDP_OFFER", "offer", sender="v1")
        await streamer.next("message")
        await site.bus.publish(subjects.hello(SESSION), StreamerHello(instance=INSTANCE))
        await streamer.next("open")
        await socket.say("ICE_CANDIDATE", "late", sender="v1")
        assert "ICE_CANDIDATE" in (await streamer.next("message")).text


async def test_a_viewer_waits_for_an_application_that_starts(cloud: StandIn, site: Site) -> None:
    site.show(None)
    socket = await cloud.socket()
    await site.reads("its application does not run")
    await socket.say("SDP_OFFER", "offer", sender="v1")
    site.show(SESSION)
    async with serving(streamer := site.streamer()):
        opening = await streamer.next("open")
        site.show(None)
        assert (await streamer.next("close")).peer == opening.peer


async def test_who_is_refused_by_the_session_or_by_a_box_that_drains_gets_nothing(
    cloud: StandIn, site: Site
) -> None:
    socket = await cloud.socket()
    async with serving(streamer := site.streamer(refuses=LimitExceededError("full"))):
        await socket.say("SDP_OFFER", "offer", sender="v1")
        await streamer.next("close")
        streamer.refuses = None
        site.draining = True
        await socket.say("SDP_OFFER", "offer", sender="v2")
        await socket.say("STATUS_RESPONSE", statusResponse={"correlationId": "1.v9", "errorType": "Seen"})
        await site.reads("Seen")
        site.draining = False
        await socket.say("SDP_OFFER", "offer", sender="v3")
        assert (await streamer.next("open")).label == "cloud v3"


async def test_a_refused_or_too_long_answer_is_seen(cloud: StandIn, site: Site) -> None:
    socket = await cloud.socket()
    async with serving(streamer := site.streamer()):
        await socket.say("SDP_OFFER", "offer", sender="v1")
        opening = await streamer.next("open")
        await streamer.say(opening.peer, kinesis_master.answer("v" * 9000))
        answer = await socket.next()
        assert len(base64.b64decode(answer["messagePayload"])) > 9000
        await site.reads("characters, AWS takes 10000")
        await socket.say(
            "STATUS_RESPONSE",
            statusResponse={
                "correlationId": answer["correlationId"],
                "errorType": "InvalidArgumentException",
                "statusCode": "400",
                "description": "too long",
            },
        )
        await site.reads("the answer to v1 was refused: InvalidArgumentException: too long")


async def test_without_ice_servers_there_is_still_an_answer(cloud: StandIn, site: Site) -> None:
    cloud.refused[ICE] = (400, "ClientLimitExceededException", "Rate exceeded")
    socket = await cloud.socket()
    async with serving(streamer := site.streamer()):
        await socket.say("SDP_OFFER", "offer", sender="v1")
        assert (await streamer.next("open")).ice_servers == []


@pytest.mark.parametrize(
    ("path", "refusal", "what", "fix"),
    [
        ("/describeSignalingChannel", (404, "ResourceNotFoundException", "no"), "no channel demo", "create"),
        ("/describeSignalingChannel", (403, "InvalidSignatureException", SKEWED), "clock", "timedatectl"),
        ("/master", (403, "InvalidSignatureException", SKEWED), "clock", "timedatectl"),
        ("/master", (403, "AccessDeniedException", "not authorized"), "403 AccessDeniedException", ""),
        ("/master", (400, "ClientLimitExceededException", "Rate exceeded"), "Rate exceeded", ""),
        ("/getSignalingChannelEndpoint", (500, "InternalFailure", "oops"), "InternalFailure", ""),
    ],
)
async def test_a_refusal_is_said_and_tried_again(
    cloud: StandIn, tmp_path: Path, path: str, refusal: tuple[int, str, str], what: str, fix: str
) -> None:
    cloud.refused[path] = refusal
    async with uplinked(tmp_path, cloud.url) as site:
        await site.reads(what)
        assert fix in site.uplink.fix
        assert "hush" not in site.uplink.detail
        cloud.refused.clear()
        await cloud.socket()
        await site.reads("connected as master of demo")
        assert not site.uplink.fault


async def test_without_botocore_it_says_what_to_install(
    cloud: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "botocore.exceptions", None)
        async with uplinked(tmp_path, cloud.url) as site:
            await site.reads("needs botocore")
            assert "pip install" in site.uplink.fix


async def test_without_credentials_or_service_it_says_so(
    cloud: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    async with uplinked(tmp_path, cloud.url) as site:
        await site.reads("no AWS credentials were found")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    async with uplinked(tmp_path, "http://127.0.0.1:1") as site:
        await site.reads("Could not connect to the endpoint URL")
    async with uplinked(tmp_path, cloud.url, ca=str(tmp_path / "missing.pem")) as site:
        await site.reads("missing.pem")
