"""Two gateway nodes on one bus: state is in the bus, never in a node."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.bus.messages import Role
from appliance.gateway.service import Gateway
from appliance.gateway.tokens import Principal
from tests.support.gateway import FakeAgent, FakeStreamer, Street, serving, settings, street, until

pytestmark = pytest.mark.integration


@contextlib.asynccontextmanager
async def second_node(here: Street, state_dir: Path) -> AsyncIterator[Street]:
    gateway = Gateway(settings(), state_dir, lambda: here.bus)
    async with serving(gateway):
        yield replace(here, gateway=gateway)


async def test_any_node_serves_any_client(tmp_path: Path) -> None:
    async with street(tmp_path) as one, second_node(one, tmp_path / "two") as two:
        agent, token = FakeAgent(one.bus), await one.token()
        async with serving(agent):
            session = await agent.ask_for_session()
            assert (await two.api("GET", "/1.0/sessions", token))[1]["metadata"] == [session]
            _, answer = await one.api("POST", f"/1.0/sessions/{session}/join", token)
            url = answer["metadata"]["url"].replace(str(one.gateway.port), str(two.gateway.port))
            streamer = FakeStreamer(one.bus, session)
            async with serving(streamer), two.http.ws_connect(url) as ws:
                peer = (await streamer.next("open")).peer
                await ws.send_str("1")
                assert await ws.receive_json(timeout=5) == {"echo": 1}
                await one.gateway.delete_account("client")
                await streamer.tell_viewers(peer)
                assert (await streamer.next("kick")).peer == peer
            assert (await two.api("GET", "/1.0/sessions", token))[0] == 401


async def test_an_instance_gets_one_session_from_all_nodes(tmp_path: Path) -> None:
    async with street(tmp_path) as one, second_node(one, tmp_path / "two") as two:
        agent = FakeAgent(one.bus)
        for _ in range(6):
            await agent.ask_for_session()
        assert len(await two.gateway.sessions()) == 6


async def test_a_pin_of_one_node_pairs_at_another(tmp_path: Path) -> None:
    async with street(tmp_path) as one, second_node(one, tmp_path / "two") as two:
        pin, _ = await one.gateway.new_pin()
        assert (await two.api("POST", "/fanlight/pair", json={"pin": pin}))[0] == 200
        assert (await one.api("POST", "/fanlight/pair", json={"pin": pin}))[0] == 401


async def test_shares_end_with_their_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.gateway.watch._SWEEP_SECONDS", 0)
    monkeypatch.setattr("appliance.gateway.watch._KEEP_SECONDS", 0)
    async with street(tmp_path) as here:
        agent = FakeAgent(here.bus)
        async with serving(agent):
            session = await agent.ask_for_session()
            await here.gateway.share(session, Role.VIEW, 3600)
            await here.gateway.stop_session(session)

            async def forgotten() -> bool:
                return not (await here.gateway.sessions() or await here.gateway._context.shares.list())

            await until(forgotten)


async def test_who_is_revoked_at_one_node_has_no_socket_at_another(tmp_path: Path) -> None:
    async with street(tmp_path) as one, second_node(one, tmp_path / "two") as two:
        gone = Principal("key", "k1", "camera", Role.CONTROL)

        class Socket:
            session, peer = "", gone.new_peer()

            def __init__(self) -> None:
                self.ended = asyncio.Event()

            async def end(self, reason: str) -> None:
                assert reason == "the access key was deleted"
                self.ended.set()

            async def close(self) -> None:
                """The gateway ends."""

        for _ in range(2):  # the key is made again, and deleted again
            sockets = [Socket(), Socket()]
            for node, socket in zip((one, two), sockets, strict=True):
                node.gateway._context.viewers.sockets.add(socket)
            await one.gateway._context.viewers.revoke(gone, "the access key was deleted")
            for socket in sockets:
                await asyncio.wait_for(socket.ended.wait(), 5)


async def test_an_account_that_expires_ends_its_viewers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.gateway.watch._SWEEP_SECONDS", 0)
    monkeypatch.setattr("appliance.gateway.watch._ROUND_SECONDS", 0.1)
    async with street(tmp_path) as here:
        agent, token = FakeAgent(here.bus), await here.gateway.create_account("guest", 3600)
        async with serving(agent):
            session = await agent.ask_for_session()
            url = (await here.api("POST", f"/1.0/sessions/{session}/join", token))[1]["metadata"]["url"]
            streamer = FakeStreamer(here.bus, session)
            async with serving(streamer), here.http.ws_connect(url) as ws:
                peer = (await streamer.next("open")).peer
                over = {"expires_at": int(time.time())}
                accounts = here.gateway._context.accounts._bucket
                await accounts.update("guest", lambda old: old.model_copy(update=over))
                kicked = await streamer.next("kick")
                assert (kicked.peer, kicked.text) == (peer, "the account has expired")
                assert (await ws.receive_json(timeout=5))["message"] == "the account has expired"
            assert [each.name for each in await here.gateway.accounts()] == ["guest"]
