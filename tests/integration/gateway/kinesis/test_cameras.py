"""A channel whose master is a client is something to watch: listed, launched once, bridged by one node."""

import contextlib
import functools
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import nats.js.errors
import pytest

from appliance.bus.connection import Bus, connect
from appliance.gateway.kinesis import bridge
from appliance.gateway.kinesis.bridge import Bridge
from appliance.gateway.service import Gateway
from appliance.signaling import kinesis
from appliance.signaling.anbox import Answer
from appliance.signaling.kinesis import Action, Delivery, Request
from tests.support.cloud import Cloud
from tests.support.gateway import FakeAgent, FakeStreamer, Street, nats_server, serving, settings, until
from tests.support.kvs import Lobby, open_lobby

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

OFFER = {"type": "offer", "sdp": "v=0"}


@pytest.fixture
async def lobby(cloud: Cloud) -> AsyncIterator[Lobby]:
    async with open_lobby(cloud, "lobby.2") as lobby:
        yield lobby


async def launch(here: Street, token: str, app: str = "lobby.2") -> tuple[int, dict[str, Any]]:
    return await here.api("POST", "/1.0/sessions", token, json={"app": app, "joinable": True})


async def applications(here: Street, token: str) -> list[str]:
    _, answer = await here.api("GET", "/1.0/applications", token)
    return [each["name"] for each in answer["metadata"]]


async def offer(streamer: FakeStreamer, peer: str) -> None:
    await streamer.say(peer, kinesis.request(Request(Action.OFFER, kinesis.description("offer", "v=0"))))


async def test_a_camera_is_listed_while_it_is_there_and_shown_by_one_session(
    cloud: Cloud, lobby: Lobby
) -> None:
    here, agent = cloud.here, FakeAgent(cloud.here.bus)
    token = await here.token()
    async with serving(agent):
        await until(lambda: here.gateway.agents())
        assert await applications(here, token) == ["demo"]
        async with lobby.master():
            assert await applications(here, token) == ["demo", "lobby.2"]
            assert here.gateway.cameras() == [("lobby.2", 0)]
            assert (await launch(here, token))[0] == 201
            (first,) = await here.gateway.sessions()
            assert (agent.launched[0].application, agent.launched[0].channel) == ("lobby.2", lobby.arn)
            _, again = await launch(here, token)
            assert again["metadata"]["id"] == first.id
            assert len(agent.launched) == 1
            assert not here.gateway._context.cameras._launching
        await until(lambda: not here.gateway.cameras())
        assert (await launch(here, token, "nowhere"))[0] >= 400
        assert [each.channel for each in await here.gateway.sessions()] == [lobby.arn]


async def test_an_application_of_the_same_name_wins(cloud: Cloud) -> None:
    agent, token = FakeAgent(cloud.here.bus), await cloud.here.token()
    async with serving(agent), open_lobby(cloud, "demo") as lobby, lobby.master():
        await until(lambda: cloud.here.gateway.agents())
        assert await applications(cloud.here, token) == ["demo"]
        await launch(cloud.here, token, "demo")
        assert agent.launched[0].channel is None


async def shown(here: Street, agent: FakeAgent, name: str) -> str:
    """The session of the camera `name`."""
    await until(lambda: here.gateway.agents())
    return (await here.gateway.launch(name, None)).id


async def test_the_master_hears_of_one_viewer_and_the_streamer_of_every_master(
    cloud: Cloud, lobby: Lobby
) -> None:
    agent = FakeAgent(cloud.here.bus)
    async with serving(agent):
        session = await shown(cloud.here, agent, "lobby.2")
        streamer = FakeStreamer(cloud.here.bus, session)
        async with serving(streamer):
            async with lobby.master() as master:
                opening = await streamer.next("open")
                assert opening.source
                assert opening.ice_servers
                await offer(streamer, opening.peer)
                told = await master.got()
                assert told == ("SDP_OFFER", OFFER, f"fanlight-{session}")
                await master.send("SDP_ANSWER", {"type": "answer", "sdp": "v=1"}, to=f"fanlight-{session}")
                event = await streamer.next("message")
                said = kinesis.read_event(event.text)
                assert (event.peer, event.source) == (opening.peer, True)
                assert isinstance(said, Delivery)
                assert kinesis.read_payload(said.action, said.payload) == Answer("v=1")
            assert (await streamer.next("close")).peer == opening.peer
            async with lobby.master() as master:
                anew = await streamer.next("open")
                assert anew.peer != opening.peer
                await offer(streamer, anew.peer)
                assert (await master.got())[0] == "SDP_OFFER"
                await cloud.here.gateway.stop_session(session)
                assert (await streamer.next("close")).peer == anew.peer


async def test_nobody_else_has_the_name_of_the_box(lobby: Lobby) -> None:
    assert (await lobby.refusal(lobby.url("VIEWER", "fanlight-s1")))[:2] == (400, "InvalidArgumentException")


async def test_a_way_to_the_camera_that_ended_is_made_anew(
    cloud: Cloud, lobby: Lobby, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, faults = Bridge.run, [RuntimeError("a bug")]

    async def fail_once(self: Bridge) -> None:
        if faults:
            raise faults.pop()
        await run(self)

    monkeypatch.setattr(Bridge, "run", fail_once)
    monkeypatch.setattr(bridge, "_ANEW_SECONDS", 0.01)
    agent = FakeAgent(cloud.here.bus)
    async with serving(agent):
        streamer = FakeStreamer(cloud.here.bus, await shown(cloud.here, agent, "lobby.2"))
        async with serving(streamer), lobby.master():
            assert (await streamer.next("open")).source
    assert not faults


@contextlib.asynccontextmanager
async def nodes(tmp_path: Path) -> AsyncIterator[tuple[Street, Street, contextlib.AsyncExitStack]]:
    """Two gateways of one cluster; the first looks after what must happen once until the stack is closed."""
    config = settings(bus={"listen": "127.0.0.1:4222"})
    async with (
        nats_server(tmp_path) as server,
        connect(server.address, name="one") as one,
        connect(server.address, name="two") as two,
    ):
        gateways = [
            Gateway(config, tmp_path / name, functools.partial(_same, bus))
            for name, bus in (("1", one), ("2", two))
        ]
        first = Street(server, gateways[0], one, None, None)  # type: ignore[arg-type]
        async with contextlib.AsyncExitStack() as leading:
            await leading.enter_async_context(serving(gateways[0]))
            await until(functools.partial(_led, one))
            async with serving(gateways[1]):
                yield first, replace(first, gateway=gateways[1], bus=two), leading


async def _led(bus: Bus) -> bool:
    """Whether a node has the lease."""
    try:
        leases = await bus.client.jetstream().key_value("leases")
        return bool(await leases.keys())
    except nats.js.errors.NotFoundError:
        return False


def _same(bus: Bus) -> Bus:
    return bus


async def test_one_node_bridges_and_another_when_that_is_gone(tmp_path: Path) -> None:
    async with nodes(tmp_path) as (_, two, leading):
        agent, cloud = FakeAgent(two.bus), Cloud(two)
        async with serving(agent), open_lobby(cloud, "lobby") as lobby, lobby.master() as master:
            session = await shown(two, agent, "lobby")
            streamer = FakeStreamer(two.bus, session)
            async with serving(streamer):
                before = await streamer.next("open")
                await offer(streamer, before.peer)
                sender = (await master.got())[2]
                await leading.aclose()
                # Its hello may come after it was asked already, and then it is asked again.
                while (after := await streamer.next("open")).peer == before.peer:
                    pass
                await offer(streamer, after.peer)
                assert (await master.got())[2] == sender
                opened = [each for each in streamer.seen if each.kind == "open"]
                assert {each.peer for each in opened} == {before.peer, after.peer}
