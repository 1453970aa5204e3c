"""What a signaling socket lives through: no streamer yet, a new streamer, a dead bus, bad clients."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from aiohttp import WSCloseCode, WSMsgType

from appliance.bus import subjects
from appliance.bus.connection import Bus
from appliance.bus.messages import Role, SessionStatus, StreamerHello
from appliance.errors import LimitExceededError
from appliance.gateway.relay import Relay
from appliance.gateway.tickets import LIFETIME_SECONDS
from tests.support.gateway import FakeAgent, FakeStreamer, Street, deaf, serving, settings, street, until

pytestmark = pytest.mark.integration


@dataclass
class Stage:
    """A gateway with one session, and ways to come in."""

    here: Street
    agent: FakeAgent
    session: str
    token: str

    async def join(self) -> str:
        """The socket URL of an Anbox client."""
        _, answer = await self.here.api("POST", f"/1.0/sessions/{self.session}/join", self.token)
        return str(answer["metadata"]["url"])

    async def watch(self) -> str:
        """The socket URL of the page, by a share link."""
        _, url, _ = await self.here.gateway.share(self.session, Role.CONTROL, 3600)
        await self.here.api("POST", "/fanlight/guest", json={"share": url.partition("#share=")[2]})
        _, answer = await self.here.api("POST", f"/fanlight/sessions/{self.session}/watch")
        return str(answer["url"])

    def buses(self) -> tuple[Bus, Bus]:
        """The connections of the streamer and of the gateway."""
        return self.here.bus, self.here.gateway._context.bus

    async def kill_bus(self) -> None:
        """And wait until everybody knows: what is published before is lost."""
        os.kill(self.here.server.pid or 0, signal.SIGKILL)
        await until(lambda: not any(each.connected for each in self.buses()))


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with street(tmp_path) as here:
        agent = FakeAgent(here.bus)
        async with serving(agent):
            yield Stage(here, agent, await agent.ask_for_session(), await here.token())


async def refusal(ws: aiohttp.ClientWebSocketResponse) -> tuple[str, int | None]:
    """The error a client gets, and the code its socket closes with."""
    error = await ws.receive_json(timeout=10)
    assert error["type"] == "error"
    assert (await ws.receive(timeout=5)).type is WSMsgType.CLOSE
    return str(error["message"]), ws.close_code


def _kinds(streamer: FakeStreamer) -> list[str]:
    """What it heard; its hello may come after it was asked already, and then it is asked again."""
    kinds = [each.kind for each in streamer.seen]
    return [kind for number, kind in enumerate(kinds) if number == 0 or kind != "open"]


async def _types(ws: aiohttp.ClientWebSocketResponse) -> list[str]:
    """What a client hears until its socket closes."""
    return [json.loads(message.data)["type"] async for message in ws]


async def test_messages_wait_for_the_streamer_and_keep_their_order(stage: Stage) -> None:
    async with stage.here.http.ws_connect(await stage.join()) as ws:
        for number in range(20):
            await ws.send_str(str(number))
        streamer = FakeStreamer(stage.here.bus, stage.session)
        async with serving(streamer):
            heard = [await ws.receive_json(timeout=5) for _ in range(20)]
            assert [each["echo"] for each in heard] == list(range(20))
            assert _kinds(streamer) == ["open", *["message"] * 20]


async def test_what_a_client_says_just_before_it_closes_still_arrives(stage: Stage) -> None:
    async with stage.here.http.ws_connect(await stage.join()) as ws:
        for number in range(20):
            await ws.send_str(str(number))
    streamer = FakeStreamer(stage.here.bus, stage.session)
    async with serving(streamer):
        await streamer.next("close")
    assert _kinds(streamer) == ["open", *["message"] * 20, "close"]


async def test_the_page_is_told_once_that_it_waits(stage: Stage) -> None:
    async with stage.here.http.ws_connect(await stage.watch()) as ws:
        assert (await ws.receive_json(timeout=10))["type"] == "fanlight::wait"
        streamer = FakeStreamer(stage.here.bus, stage.session)
        async with serving(streamer):
            opening = await streamer.next("open")
            assert not opening.exclusive
            await ws.send_str("1")
            assert await ws.receive_json(timeout=5) == {"echo": 1}


async def test_without_a_streamer_the_client_hears_of_it(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.gateway.relay.STREAMER_PATIENCE_SECONDS", 0.5)
    async with stage.here.http.ws_connect(await stage.join()) as ws:
        message, _ = await refusal(ws)
        assert "does not answer" in message


async def test_a_new_streamer_is_told_who_was_there(stage: Stage) -> None:
    first, second = (FakeStreamer(stage.here.bus, stage.session) for _ in range(2))
    async with stage.here.http.ws_connect(await stage.join()) as ws:
        async with serving(first):
            opening = await first.next("open")
        async with serving(second):
            again = await second.next("open")
            assert again == opening.model_copy(update={"resumed": True})
            await ws.send_str("1")
            assert await ws.receive_json(timeout=5) == {"echo": 1}


async def test_two_clients_hear_only_what_is_theirs(stage: Stage) -> None:
    streamer = FakeStreamer(stage.here.bus, stage.session)
    async with (
        serving(streamer),
        stage.here.http.ws_connect(await stage.join()) as one,
        stage.here.http.ws_connect(await stage.join()) as two,
    ):
        first = (await streamer.next("open")).peer
        second = (await streamer.next("open")).peer
        assert first != second
        await streamer.say(first, '"for the first"')
        await streamer.hang_up(first)
        await streamer.say(second, '"for the second"')
        assert await two.receive_json(timeout=5) == "for the second"
        assert await one.receive_json(timeout=5) == "for the first"
        assert (await one.receive(timeout=5)).type is WSMsgType.CLOSE


async def test_a_streamer_may_refuse_a_viewer(stage: Stage) -> None:
    streamer = FakeStreamer(stage.here.bus, stage.session, refuses=LimitExceededError("100 viewers here"))
    async with serving(streamer), stage.here.http.ws_connect(await stage.join()) as ws:
        message, code = await refusal(ws)
        assert message == "100 viewers here"
        assert code == WSCloseCode.POLICY_VIOLATION


async def test_oversized_and_binary_messages_close_only_their_own_socket(stage: Stage) -> None:
    streamer = FakeStreamer(stage.here.bus, stage.session)
    async with serving(streamer), stage.here.http.ws_connect(await stage.join()) as good:
        await streamer.next("open")
        async with stage.here.http.ws_connect(await stage.join()) as bad:
            await bad.send_str("x" * 70_000)
            message, code = await refusal(bad)
            assert "65536" in message
            assert code == WSCloseCode.MESSAGE_TOO_BIG
        async with stage.here.http.ws_connect(await stage.join()) as bad:
            await bad.send_bytes(b"\0")
            assert (await refusal(bad))[1] == WSCloseCode.UNSUPPORTED_DATA
        async with stage.here.http.ws_connect(await stage.join()) as bad:
            await bad.send_str("x" * 2_000_000)
            assert (await bad.receive(timeout=5)).type in (WSMsgType.CLOSE, WSMsgType.CLOSED)
        await good.send_str('"' + "x" * 60_000 + '"')
        assert len((await good.receive_json(timeout=5))["echo"]) == 60_000


async def test_a_flood_closes_the_socket(tmp_path: Path) -> None:
    async with street(tmp_path, settings(limits={"requests_per_second": 10})) as here:
        agent = FakeAgent(here.bus)
        async with serving(agent):
            stage = Stage(here, agent, await agent.ask_for_session(), await here.token())
            async with here.http.ws_connect(await stage.join()) as ws:
                for _ in range(60):
                    await ws.send_str("1")
                assert (await refusal(ws))[0] == "too many messages"


async def test_sockets_outlive_a_killed_bus(stage: Stage) -> None:
    streamer = FakeStreamer(stage.here.bus, stage.session)
    async with serving(streamer), stage.here.http.ws_connect(await stage.join()) as ws:
        opening = await streamer.next("open")
        await ws.send_str("0")
        assert await ws.receive_json(timeout=5) == {"echo": 0}
        await stage.kill_bus()
        await ws.send_str("1")
        assert await ws.receive_json(timeout=10) == {"echo": 1}
        resumed = await streamer.next("open")
        assert (resumed.peer, resumed.resumed) == (opening.peer, True)


async def test_a_long_outage_is_admitted_and_the_socket_stays(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.gateway.relay.BUS_PATIENCE_SECONDS", 0.5)
    monkeypatch.setattr("appliance.bus.server._RESTART_SECONDS", (4,))
    streamer = FakeStreamer(stage.here.bus, stage.session)
    async with serving(streamer), stage.here.http.ws_connect(await stage.join()) as ws:
        await streamer.next("open")
        await stage.kill_bus()
        await ws.send_str("1")
        assert "lost its connection" in (await ws.receive_json(timeout=10))["message"]
        for each in stage.buses():
            await each.ready(10)
        await ws.send_str("2")
        assert await ws.receive_json(timeout=10) == {"echo": 2}


async def test_the_end_of_a_session_is_told(stage: Stage) -> None:
    async with (
        stage.here.http.ws_connect(await stage.join()) as client,
        stage.here.http.ws_connect(await stage.watch()) as page,
    ):
        assert (await page.receive_json(timeout=10))["type"] == "fanlight::wait"
        await stage.agent.report(stage.session, SessionStatus.ERROR, "the encoder gave up")
        assert await client.receive_json(timeout=5) == {"type": "error", "message": "the encoder gave up"}
        end = await page.receive_json(timeout=5)
        assert (end["type"], end["reason"]) == ("fanlight::end", "the encoder gave up")


async def test_an_end_that_nobody_heard_is_found_when_no_streamer_answers(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.gateway.relay._RETRY_SECONDS", 0.05)
    bus, sessions = stage.here.bus, stage.here.gateway._context.sessions
    async with stage.here.http.ws_connect(await stage.join()) as ws:
        streamer = FakeStreamer(bus, stage.session)
        async with serving(streamer):
            await streamer.next("open")
        await sessions._apply(stage.session, SessionStatus.TERMINATED, "stopped on the box", None)
        await bus.publish(subjects.hello(stage.session), StreamerHello(instance="i1"))  # as after an outage
        assert await ws.receive_json(timeout=10) == {"type": "error", "message": "stopped on the box"}
        assert (await ws.receive(timeout=5)).type is WSMsgType.CLOSE


async def test_who_does_not_read_holds_up_no_revocation(stage: Stage) -> None:
    streamer, viewers = FakeStreamer(stage.here.bus, stage.session), stage.here.gateway._context.viewers
    async with serving(streamer), deaf(await stage.join()):
        peer = (await streamer.next("open")).peer
        (relay,) = (each for each in viewers.sockets if isinstance(each, Relay))
        unsent = 0

        async def stalled() -> bool:
            nonlocal unsent
            await streamer.say(peer, "x" * 500_000)
            before, unsent = unsent, _unsent(relay)
            return 0 < unsent == before

        await until(stalled)
        await stage.here.gateway.delete_account("client")
        assert (await streamer.next("kick")).peer == peer
        await until(lambda: relay not in viewers.sockets, 5)


def _unsent(relay: Relay) -> int:
    connection = relay._ws._connection
    assert connection
    return connection.get_write_buffer_size()


async def test_sockets_need_a_ticket_of_their_own(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    url = await stage.join()
    http = url.replace("ws://", "http://").removeprefix(stage.here.base)
    other = await stage.agent.ask_for_session()
    for bad in (
        http[:-1],
        http.partition("?")[0],
        http + "x",
        http.partition("?")[0] + "?token=.",
        http.replace(stage.session, other),
    ):
        status, answer = await stage.here.api("GET", bad)
        assert (status, answer["type"]) == (401, "error"), bad
    assert (await stage.here.api("GET", http))[0] == 426
    await stage.here.gateway.stop_session(stage.session)
    assert (await stage.here.api("GET", http))[0] == 400
    await stage.here.gateway.delete_account("client")
    monkeypatch.setattr("appliance.gateway.tickets.LIFETIME_SECONDS", -LIFETIME_SECONDS)
    token = await stage.here.token("other")
    _, answer = await stage.here.api("POST", f"/1.0/sessions/{other}/join", token)
    late = answer["metadata"]["url"].replace("ws://", "http://").removeprefix(stage.here.base)
    assert "expired" in (await stage.here.api("GET", late))[1]["error"]


async def test_a_closing_gateway_closes_its_sockets_at_once(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    async with street(tmp_path) as here:
        agent = FakeAgent(here.bus)
        async with serving(agent):
            stage = Stage(here, agent, await agent.ask_for_session(), await here.token())
            http = aiohttp.ClientSession()
            client = await http.ws_connect(await stage.join())
            page = await http.ws_connect(await stage.watch())
            reading = asyncio.ensure_future(refusal(client))  # noqa: TID251
            waiting = asyncio.ensure_future(_types(page))  # noqa: TID251
        began = loop.time()
    assert loop.time() - began < 4
    assert await reading == ("the gateway goes away: join again", WSCloseCode.GOING_AWAY)
    assert set(await waiting) <= {"fanlight::wait"}, "a page comes back by itself, unless it is told not to"
    assert page.close_code == WSCloseCode.GOING_AWAY
    await http.close()


async def test_a_viewer_can_be_kicked(stage: Stage) -> None:
    streamer = FakeStreamer(stage.here.bus, stage.session)
    async with serving(streamer):
        await streamer.tell_viewers("d1-a", "d2-b")
        await until(lambda: stage.here.gateway._context.viewers.of(stage.session))
        await stage.here.gateway.kick("d2-b")
        assert (await streamer.next("kick")).peer == "d2-b"
        assert json.dumps([each.kind for each in streamer.seen]) == '["kick"]'
