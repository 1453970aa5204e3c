"""Masters and viewers on signaling sockets: relay, store and forward, who takes over, who is refused."""

import asyncio
import contextlib
import dataclasses
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from appliance.bus.channel_messages import ChannelMail
from appliance.bus.link import BusLink
from appliance.bus.mail import Mail
from appliance.errors import UnavailableError
from appliance.gateway.kinesis import lifetime, quotas
from appliance.gateway.kinesis.policies import Policy, Statement
from appliance.gateway.service import Gateway
from tests.support.cloud import Cloud
from tests.support.gateway import deaf, serving, settings, street, until
from tests.support.kvs import Lobby, Peer, open_lobby, presigned

pytestmark = pytest.mark.integration


@pytest.fixture
async def lobby(cloud: Cloud) -> AsyncIterator[Lobby]:
    async with open_lobby(cloud, "lobby.1") as opened:
        yield opened


async def call(master: Peer, viewer: Peer, name: str) -> None:
    """Offer, answer and a candidate each way."""
    await viewer.send("SDP_OFFER", "offer")
    await viewer.send("ICE_CANDIDATE", "v")
    assert await master.got() == ("SDP_OFFER", "offer", name)
    assert await master.got() == ("ICE_CANDIDATE", "v", name)
    await master.send("SDP_ANSWER", "answer", to=name)
    await master.send("ICE_CANDIDATE", "m", to=name)
    assert await viewer.got() == ("SDP_ANSWER", "answer", None)
    assert await viewer.got() == ("ICE_CANDIDATE", "m", None)


async def test_a_master_and_two_viewers_call_each_other(lobby: Lobby) -> None:
    async with lobby.master() as master, lobby.viewer("v.1") as first, lobby.viewer("V.1") as second:
        await call(master, first, "v.1")
        await call(master, second, "V.1")
        await first.send("ICE_CANDIDATE", "late")
        assert await master.got() == ("ICE_CANDIDATE", "late", "v.1")


async def test_what_a_viewer_says_before_the_master_is_there_waits(lobby: Lobby) -> None:
    async with lobby.viewer("v1") as viewer:
        await viewer.send("SDP_OFFER", "old")
        await viewer.send("ICE_CANDIDATE", "of the old one")
        await viewer.send("SDP_OFFER", "offer")
        await viewer.send("ICE_CANDIDATE", "v", correlationId="last")
        await viewer.send("DANCE", correlationId="sync")
        await viewer.status("sync")
        async with lobby.master() as master:
            assert await master.got() == ("SDP_OFFER", "offer", "v1")
            assert await master.got() == ("ICE_CANDIDATE", "v", "v1")


async def test_a_message_whose_acknowledgement_is_lost_is_delivered_once(
    lobby: Lobby, monkeypatch: pytest.MonkeyPatch
) -> None:
    post, losses = Mail.post, ["SDP_OFFER"]

    async def lossy(self: Mail[ChannelMail], subject: str, content: ChannelMail, **more: str) -> int:
        number = await post(self, subject, content, **more)
        if content.action in losses:
            losses.remove(content.action)
            raise UnavailableError("mail: no answer")
        return number

    monkeypatch.setattr(Mail, "post", lossy)
    async with lobby.master() as master, lobby.viewer("v1") as viewer:
        await viewer.send("SDP_OFFER", "offer")
        await viewer.send("ICE_CANDIDATE", "v")
        assert await master.got() == ("SDP_OFFER", "offer", "v1")
        assert await master.got() == ("ICE_CANDIDATE", "v", "v1")
    assert losses == []


async def test_the_mail_of_a_deleted_channel_takes_no_room(cloud: Cloud, lobby: Lobby) -> None:
    async with lobby.viewer("v1") as viewer:
        await viewer.send("SDP_OFFER", "offer")
        await viewer.send("DANCE", correlationId="sync")
        await viewer.status("sync")
    mail = cloud.here.gateway._context.mail
    await mail.post("mail.other.+.v1", ChannelMail(id="kept", action="SDP_OFFER"))
    await cloud.client(lobby.key)("delete_signaling_channel", ChannelARN=lobby.arn)
    lying = (await cloud.here.bus.client.jetstream().stream_info("mail", subjects_filter=">")).state.subjects
    assert lying == {"mail.other.+.v1": 1}


async def test_an_offer_comes_again_to_a_master_that_comes_back_before_it_answered(lobby: Lobby) -> None:
    async with lobby.viewer("v1") as viewer:
        async with lobby.master() as master:
            await viewer.send("SDP_OFFER", "offer")
            await viewer.send("ICE_CANDIDATE", "v")
            assert (await master.got())[0] == "SDP_OFFER"
            assert (await master.got())[0] == "ICE_CANDIDATE"
        async with lobby.master() as master:
            assert await master.got() == ("SDP_OFFER", "offer", "v1")
            assert await master.got() == ("ICE_CANDIDATE", "v", "v1")
            await master.send("SDP_ANSWER", "answer", to="v1")
            assert await viewer.got() == ("SDP_ANSWER", "answer", None)
        async with lobby.master() as master:
            await viewer.send("ICE_CANDIDATE", "the only one")
            assert await master.got() == ("ICE_CANDIDATE", "the only one", "v1")


async def test_an_answer_waits_for_a_viewer_that_is_away_and_comes_once(lobby: Lobby) -> None:
    async with lobby.master() as master:
        await master.send("SDP_ANSWER", "answer", to="v1")
        await master.send("DANCE", to="v1", correlationId="sync")
        await master.status("sync")
        async with lobby.viewer("v1") as viewer:
            assert await viewer.got() == ("SDP_ANSWER", "answer", None)
        async with lobby.viewer("v1") as viewer:
            await master.send("ICE_CANDIDATE", "m", to="v1")
            assert await viewer.got() == ("ICE_CANDIDATE", "m", None)


@pytest.mark.parametrize("role", ["MASTER", "VIEWER"])
async def test_the_newer_of_two_connections_takes_over_and_the_older_stays_open(
    lobby: Lobby, role: str
) -> None:
    def opened() -> Any:
        return lobby.master() if role == "MASTER" else lobby.viewer("v1")

    other = lobby.viewer("v1") if role == "MASTER" else lobby.master()
    async with opened() as older, opened() as newer, other as peer:
        to = "" if role == "MASTER" else "v1"
        await peer.send("ICE_CANDIDATE", "hello", to=to)
        assert (await newer.got())[:2] == ("ICE_CANDIDATE", "hello")
        await older.send("ICE_CANDIDATE", "old", to="v1", correlationId="c")
        assert (await older.status("c"))["errorType"] == "ResourceInUseException"
        assert not older.ws.closed


async def test_who_was_taken_over_and_says_nothing_is_sent_away(
    lobby: Lobby, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifetime, "ORPHAN_SECONDS", 0.1)
    monkeypatch.setattr(lifetime, "GRACE_SECONDS", 0.1)
    async with lobby.viewer("v1") as older, lobby.viewer("v1") as newer, lobby.master() as master:
        assert (await older.next())["messageType"] == "GO_AWAY"
        assert await older.closed() == 1001
        await call(master, newer, "v1")


async def test_refused_messages_are_told_where_a_correlation_id_is_given(lobby: Lobby) -> None:
    async with lobby.master() as master:
        await master.ws.send_str("not JSON")
        await master.send("SDP_ANSWER", "x")
        await master.send("SDP_ANSWER", "x", correlationId="c1")
        told = await master.status("c1")
        assert (told["statusCode"], told["errorType"]) == ("400", "InvalidArgumentException")
        await master.send("SDP_ANSWER", "x" * 65_536, to="v1", correlationId="c2")
        assert "65536" in (await master.status("c2"))["description"]
        assert not master.ws.closed


async def test_binary_frames_and_floods_close_the_socket(lobby: Lobby) -> None:
    async with lobby.viewer("v1") as viewer:
        await viewer.ws.send_bytes(b"x")
        assert await viewer.closed() == 1003
    async with lobby.viewer("v1") as viewer:
        for _ in range(3000):
            await viewer.ws.send_str("{}")
        assert await viewer.closed() == 1008


async def test_pings_are_answered(lobby: Lobby) -> None:
    async with lobby.http.ws_connect(lobby.url("VIEWER", "v1"), autoping=False) as ws:
        await ws.ping(b"there?")
        answer = await ws.receive(timeout=5)
        assert (answer.type, answer.data) == (aiohttp.WSMsgType.PONG, b"there?")


async def test_who_leaves_before_its_pings_are_answered_is_no_fault_of_ours(
    lobby: Lobby, cloud: Cloud, caplog: pytest.LogCaptureFixture
) -> None:
    async def noticed() -> bool:
        async with cloud.here.http.get(f"{cloud.here.base}/metrics") as answer:
            return 'handler="viewer",method="GET",status=' in await answer.text()

    async with deaf(lobby.url("VIEWER", "v1")) as writer:
        await until(lambda: cloud.here.gateway._context.viewers.sockets)
        writer.write(b"\x89\x80\0\0\0\0" * 20_000)  # pings without content
        await writer.drain()
    await until(noticed)
    assert "Traceback" not in caplog.text


async def test_who_does_not_answer_pings_is_gone(lobby: Lobby, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifetime, "HEARTBEAT_SECONDS", 2.0)
    async with lobby.http.ws_connect(lobby.url("VIEWER", "v1"), autoping=False) as ws:
        for _ in range(2):
            ping = await ws.receive(timeout=5)
            assert ping.type is aiohttp.WSMsgType.PING
            await ws.pong(ping.data)
        while not ws.closed:
            await ws.receive(timeout=5)


async def test_aws_ends_idle_sockets_after_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quotas, "AWS", dataclasses.replace(quotas.AWS, idle_s=0.5))
    monkeypatch.setattr(lifetime, "GRACE_SECONDS", 0.1)
    async with (
        street(tmp_path, settings(kinesis={"strict_quotas": True})) as here,
        open_lobby(Cloud(here), "lobby.1") as lobby,
        lobby.viewer("v1") as viewer,
    ):
        assert (await viewer.next())["messageType"] == "GO_AWAY"
        assert await viewer.closed() == 1001


async def test_clients_that_drop_the_path_are_told_apart_by_their_name(lobby: Lobby) -> None:
    root = {role: url.replace("/signal/" + role.lower(), "/") for role, url in lobby.endpoints.items()}
    there = Lobby(lobby.key, lobby.arn, root, lobby.http)
    async with there.master() as master, there.viewer("v1") as viewer:
        await call(master, viewer, "v1")
    async with lobby.http.get(root["MASTER"].replace("ws", "http", 1)) as page:
        assert page.content_type == "text/html"


async def test_a_master_may_name_itself(lobby: Lobby) -> None:
    async with lobby.http.ws_connect(lobby.url("MASTER", "MASTER")) as ws, lobby.viewer("v1") as viewer:
        await call(Peer(ws), viewer, "v1")


async def test_who_may_not_come_in_is_told_why(cloud: Cloud, lobby: Lobby) -> None:
    refusal = lobby.refusal
    assert (await refusal(lobby.url("VIEWER")))[:2] == (400, "InvalidArgumentException")
    assert (await refusal(lobby.url("VIEWER", "aws_x")))[:2] == (400, "InvalidArgumentException")
    assert (await refusal(lobby.url("VIEWER", "")))[:2] == (400, "InvalidArgumentException")
    root = presigned(lobby.key, lobby.endpoints["VIEWER"].replace("/signal/viewer", "/"), lobby.arn, "")
    assert (await refusal(root))[:2] == (400, "InvalidArgumentException")
    assert (await refusal(lobby.url("VIEWER", "v1", expires=0)))[0] == 403
    assert (await refusal(lobby.url("VIEWER", "v1") + "0"))[0] == 403
    assert (await refusal(lobby.endpoints["VIEWER"]))[0] == 403
    nowhere = Lobby(lobby.key, lobby.arn + "x", lobby.endpoints, lobby.http)
    assert (await refusal(nowhere.url("MASTER")))[:2] == (400, "InvalidArgumentException")
    gone = Lobby(lobby.key, lobby.arn + "1", lobby.endpoints, lobby.http)
    assert (await refusal(gone.url("MASTER")))[:2] == (404, "ResourceNotFoundException")
    only = Statement(Effect="Allow", Action=["kinesisvideo:ConnectAsViewer"], Resource=["lobby*"])
    key = await cloud.key("watcher", Policy(Statement=[only]))
    watcher = Lobby(key, lobby.arn, lobby.endpoints, lobby.http)
    assert (await refusal(watcher.url("MASTER")))[:2] == (403, "AccessDeniedException")
    async with watcher.viewer("v1") as viewer, lobby.master() as master:
        await call(master, viewer, "v1")


async def test_who_speaks_plain_http_to_a_socket_is_told_so(lobby: Lobby) -> None:
    async with lobby.http.get(lobby.url("MASTER").replace("ws", "http", 1)) as answer:
        assert (answer.status, answer.headers["Upgrade"]) == (426, "websocket")
        assert answer.headers["x-amzn-ErrorType"] == "UpgradeRequiredException"


async def test_the_eleventh_viewer_is_refused_until_one_leaves(lobby: Lobby) -> None:
    async with contextlib.AsyncExitStack() as stack:
        for number in range(9):
            await stack.enter_async_context(lobby.viewer(f"v{number}"))
        async with lobby.viewer("v9"):
            status, kind, _ = await lobby.refusal(lobby.url("VIEWER", "v10"))
            assert (status, kind) == (400, "ClientLimitExceededException")
            await stack.enter_async_context(lobby.viewer("v0"))

        async def has_left() -> bool:
            try:
                await stack.enter_async_context(lobby.viewer("v10"))
            except aiohttp.WSServerHandshakeError:
                return False
            return True

        await until(has_left)


async def test_a_deleted_key_ends_its_sockets(cloud: Cloud, lobby: Lobby) -> None:
    async with lobby.viewer("v1") as viewer:
        await cloud.here.gateway.delete_key("front")
        assert await viewer.closed() == 1008


async def test_a_deleted_channel_ends_its_sockets_at_every_node_without_asking_them_back(
    cloud: Cloud, lobby: Lobby, tmp_path: Path
) -> None:
    second = Gateway(settings(), tmp_path / "second", lambda: cloud.here.bus)
    async with serving(second):
        there = {"MASTER": lobby.endpoints["MASTER"].replace(cloud.here.base[4:], second.url[4:-1])}
        elsewhere = Lobby(lobby.key, lobby.arn, there, lobby.http)
        async with lobby.viewer("v1") as viewer, elsewhere.master() as master:
            await call(master, viewer, "v1")
            await cloud.client(lobby.key)("delete_signaling_channel", ChannelARN=lobby.arn)
            for peer in (viewer, master):
                end = await peer.ws.receive(timeout=5)
                assert (end.type, end.data) == (aiohttp.WSMsgType.CLOSE, 1008)


async def test_a_gateway_that_drains_sends_everybody_away_and_lets_nobody_in(
    cloud: Cloud, lobby: Lobby, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifetime, "GRACE_SECONDS", 3.0)
    async with lobby.viewer("v1") as viewer, lobby.master() as master:
        cloud.here.gateway.drain(closed=True)
        assert (await viewer.next())["messageType"] == "GO_AWAY"
        assert (await master.next())["messageType"] == "GO_AWAY"
        assert (await lobby.refusal(lobby.url("VIEWER", "v2")))[0] == 503
        await call(master, viewer, "v1")
        assert (await viewer.closed(), await master.closed()) == (1001, 1001)
    cloud.here.gateway.drain(closed=False)
    async with lobby.viewer("v1") as viewer, lobby.master() as master:
        await call(master, viewer, "v1")


async def test_clients_ask_for_ice_servers_again_when_those_have_changed(cloud: Cloud, lobby: Lobby) -> None:
    changed = settings(ice={"turn": ["turn:turn.example.org:443?transport=tcp"], "turn_secret": "another"})
    async with lobby.viewer("v1") as viewer, lobby.master() as master:
        cloud.here.gateway.reload(changed)
        assert (await viewer.next())["messageType"] == "RECONNECT_ICE_SERVER"
        assert (await master.next())["messageType"] == "RECONNECT_ICE_SERVER"
        cloud.here.gateway.reload(changed)
        await call(master, viewer, "v1")
    signaling = cloud.client(lobby.key, "kinesis-video-signaling")
    (server,) = (await signaling("get_ice_server_config", ChannelARN=lobby.arn))["IceServerList"]
    assert server["Uris"] == ["turn:turn.example.org:443?transport=tcp"]


async def test_strict_quotas_are_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quotas, "AWS", dataclasses.replace(quotas.AWS, connects_per_s=0.01))
    async with (
        street(tmp_path, settings(kinesis={"strict_quotas": True})) as here,
        open_lobby(Cloud(here), "lobby.1") as lobby,
        lobby.viewer("v1") as viewer,
    ):
        for _ in range(40):  # five a second, however slow this machine is
            await viewer.send("SDP_OFFER", "offer", correlationId="offer")
        await viewer.send("ICE_CANDIDATE", "x" * 10_000, correlationId="long")
        told = [(await viewer.next())["statusResponse"]]
        while told[-1]["correlationId"] != "long":
            told.append((await viewer.next())["statusResponse"])
        assert {each["errorType"] for each in told[:-1]} == {"ClientLimitExceededException"}
        assert "10000" in told[-1]["description"]
        async with lobby.viewer("v2"), lobby.viewer("v3"):
            assert (await lobby.refusal(lobby.url("VIEWER", "v4")))[2] == "Rate exceeded"


async def test_master_and_viewer_meet_over_two_nodes_and_survive_one_of_them(
    cloud: Cloud, lobby: Lobby, tmp_path: Path
) -> None:
    link = BusLink(lambda: cloud.here.server.address, "second gateway")
    second = Gateway(settings(kinesis={"viewers_per_channel": 2}), tmp_path / "second", link)
    async with serving(link):
        async with serving(second), lobby.master() as master, lobby.viewer("v0"):
            there = {
                role: url.replace(cloud.here.base[4:], second.url[4:-1])
                for role, url in lobby.endpoints.items()
            }
            elsewhere = Lobby(lobby.key, lobby.arn, there, lobby.http)
            async with elsewhere.viewer("v1") as viewer:
                await call(master, viewer, "v1")
                refused = await elsewhere.refusal(elsewhere.url("VIEWER", "v2"))
                assert refused[:2] == (400, "ClientLimitExceededException")
                await viewer.send("SDP_OFFER", "unanswered")
                assert (await master.got())[1] == "unanswered"
        async with lobby.http.ws_connect(lobby.url("MASTER")) as again:
            assert await Peer(again).got() == ("SDP_OFFER", "unanswered", "v1")


async def test_who_holds_a_socket_is_told_to_go_when_the_gateway_stops(tmp_path: Path) -> None:
    told: list[object] = []

    async def listen(viewer: Peer) -> None:
        told.append((await viewer.next())["messageType"])
        told.append(await viewer.closed())

    async with (
        contextlib.AsyncExitStack() as stack,
        asyncio.TaskGroup() as group,
        street(tmp_path) as here,
    ):
        lobby = await stack.enter_async_context(open_lobby(Cloud(here), "lobby.1"))
        group.create_task(listen(await stack.enter_async_context(lobby.viewer("v1"))))
    assert told == ["GO_AWAY", 1001]


async def test_sockets_survive_the_bus(cloud: Cloud, lobby: Lobby) -> None:
    async with lobby.master() as master, lobby.viewer("v1") as viewer:
        await call(master, viewer, "v1")
        await viewer.send("SDP_OFFER", "unanswered")
        assert (await master.got())[1] == "unanswered"
        os.kill(cloud.here.server.pid or 0, signal.SIGKILL)
        await call(master, viewer, "v1")
