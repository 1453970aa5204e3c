"""Shares of a session: links that let one more client in."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from appliance.bus.messages import Role
from appliance.bus.state import Bucket
from appliance.errors import RefusedError
from appliance.gateway.shares import ShareRecord, Shares
from tests.support.gateway import FakeAgent, FakeStreamer, Street, serving, street

pytestmark = pytest.mark.integration


async def test_shares_lead_one_more_client_in_until_they_are_revoked(here: Street) -> None:
    agent, token = FakeAgent(here.bus), await here.token()
    async with serving(agent):
        session = await agent.ask_for_session()
        path = f"/1.0/sessions/{session}/share"
        status, answer = await here.api("POST", path, token, json={"type": "view", "description": "aunt"})
        assert status == 200
        share = answer["metadata"]
        assert set(share) == {"id", "type", "url", "expiry_at", "expiry_min"}
        assert share["expiry_min"] == 720
        connect = share["url"].removeprefix(here.base)
        assert connect.startswith(f"/1.0/session/{session}/connect?type=view&token=")
        status, answer = await here.api("GET", connect)
        assert status == 200
        streamer = FakeStreamer(here.bus, session)
        async with serving(streamer), here.http.ws_connect(answer["metadata"]["url"]) as ws:
            opening = await streamer.next("open")
            assert (opening.role, opening.exclusive, opening.label) == ("view", False, "aunt")
            _, listed = await here.api("GET", f"/1.0/shares?recursion=1&session_id={session}", token)
            assert listed["total_size"] == 1
            assert "url" not in listed["metadata"][0]
            patch = {"description": "uncle", "expiry_at": share["expiry_at"] + 60}
            _, changed = await here.api("PATCH", f"/1.0/shares/{share['id']}", token, json=patch)
            assert (changed["metadata"]["description"], changed["metadata"]["expiry_min"]) == ("uncle", 721)
            _, shown = await here.api("GET", f"/1.0/shares/{share['id']}", token)
            assert shown == changed
            assert shown["metadata"]["url"] == share["url"]
            assert (await here.api("DELETE", f"/1.0/shares/{share['id']}", token))[0] == 202
            assert (await streamer.next("kick")).peer == opening.peer
            assert "revoked" in (await ws.receive_json(timeout=5))["message"]
        assert (await here.api("GET", connect))[0] == 401
        assert (await here.api("GET", f"/1.0/shares/{share['id']}", token))[0] == 404


async def test_an_expired_share_ends_whoever_came_in_by_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.gateway.watch._ROUND_SECONDS", 0.1)
    monkeypatch.setattr("appliance.gateway.watch._SWEEP_SECONDS", 0.1)
    async with street(tmp_path) as here:
        agent, token = FakeAgent(here.bus), await here.token()
        async with serving(agent):
            session = await agent.ask_for_session()
            _, made = await here.api("POST", f"/1.0/sessions/{session}/share", token, json={"type": "view"})
            share = made["metadata"]
            _, way = await here.api("GET", share["url"].removeprefix(here.base))
            streamer = FakeStreamer(here.bus, session)
            async with serving(streamer), here.http.ws_connect(way["metadata"]["url"]) as ws:
                opening = await streamer.next("open")
                soon = {"expiry_at": int(time.time()) + 4}
                assert (await here.api("PATCH", f"/1.0/shares/{share['id']}", token, json=soon))[0] == 200
                kicked = await streamer.next("kick")
                assert (kicked.peer, kicked.text) == (opening.peer, "the share link has expired")
                assert "expired" in (await ws.receive_json(timeout=5))["message"]
            assert (await here.api("GET", f"/1.0/shares/{share['id']}", token))[0] == 404


async def test_many_at_once_get_no_more_shares_than_one_by_one(here: Street) -> None:
    agent, token = FakeAgent(here.bus), await here.token()
    async with serving(agent):
        path = f"/1.0/sessions/{await agent.ask_for_session()}/share"
        answers = await asyncio.gather(*(here.api("POST", path, token, json={}) for _ in range(8)))
        assert sorted(status for status, _ in answers) == [200] * 5 + [403] * 3


async def test_two_gateways_at_once_give_no_more_shares_than_one(here: Street) -> None:
    nodes = [Shares(await Bucket.open(here.bus, "shares", ShareRecord), b"key") for _ in range(2)]

    async def share(node: Shares) -> bool:
        try:
            await node.create("some", role=Role.VIEW, kind="view", limit=5)
        except RefusedError:
            return False
        return True

    made = await asyncio.gather(*(share(node) for node in nodes * 4))
    assert 0 < sum(made) <= 5
    assert len(await nodes[0].list("some")) == sum(made)


async def test_a_link_of_the_box_can_be_told_again(here: Street) -> None:
    agent, token = FakeAgent(here.bus), await here.token()
    async with serving(agent):
        session = await agent.ask_for_session()
        share, url, _ = await here.gateway.share(session, Role.VIEW, 60)
        _, shown = await here.api("GET", f"/1.0/shares/{share}", token)
        assert shown["metadata"]["url"].partition("#")[2] == url.partition("#")[2]
        forged = url.partition("#share=")[2][:-1] + "é"
        assert (await here.api("POST", "/fanlight/guest", json={"share": forged}))[0] == 401


async def test_what_go_clients_leave_empty_is_not_said(here: Street) -> None:
    agent, token = FakeAgent(here.bus), await here.token()
    async with serving(agent):
        session = await agent.ask_for_session()
        empty = {"type": "adb", "description": None, "expiry_at": 0, "expiry_min": 0}
        status, made = await here.api("POST", f"/1.0/sessions/{session}/share", token, json=empty)
        assert (status, made["metadata"]["expiry_min"]) == (200, 720)
        same = {"description": None, "expiry_at": 0}
        _, changed = await here.api("PATCH", f"/1.0/shares/{made['metadata']['id']}", token, json=same)
        assert changed["metadata"]["expiry_at"] == made["metadata"]["expiry_at"]


async def test_shares_are_listed_in_parts_and_in_order(here: Street) -> None:
    agent, token = FakeAgent(here.bus), await here.token()
    async with serving(agent):
        session, other = await agent.ask_for_session(), await agent.ask_for_session()
        now = int(time.time())
        ends = {}
        for hours, to in ((3, session), (1, session), (2, session), (4, other)):
            wanted = {"type": "view", "expiry_at": now + hours * 3600}
            _, made = await here.api("POST", f"/1.0/sessions/{to}/share", token, json=wanted)
            ends[hours] = made["metadata"]["id"]

        async def listed(query: str) -> tuple[Any, int]:
            answer = (await here.api("GET", f"/1.0/shares?{query}", token))[1]
            return answer["metadata"], answer["total_size"]

        assert await listed("sort_by=expiry_at") == ([ends[1], ends[2], ends[3], ends[4]], 4)
        assert await listed(f"session_id={session}&sort_by=expiry_at&sort_order=desc&limit=2") == (
            [ends[3], ends[2]],
            3,
        )
        whole, total = await listed("recursion=true&offset=3&sort_by=expiry_at")
        assert (whole[0]["id"], whole[0]["session_id"], total) == (ends[4], other, 4)
        assert (await here.api("GET", "/1.0/shares?sort_by=url", token))[0] == 400


async def test_shares_have_limits(here: Street) -> None:
    agent, token = FakeAgent(here.bus), await here.token()
    async with serving(agent):
        session = await agent.ask_for_session()
        path = f"/1.0/sessions/{session}/share"
        for bad in (
            {"expiry_at": 5},
            {"expiry_min": 60 * 24 * 31},
            {"type": "odd"},
        ):
            assert (await here.api("POST", path, token, json=bad))[0] == 400
        for _ in range(5):
            await here.gateway.share(session, Role.VIEW, 60)  # of `fanlight share`: they count for nothing
        for _ in range(5):
            assert (await here.api("POST", path, token, json={"type": "adb"}))[0] == 200
        status, answer = await here.api("POST", path, token, json={"type": "adb"})
        assert status == 403
        assert "share limit exceeded" in answer["error"]
        assert (await here.api("POST", "/1.0/sessions/nobody/share", token, json={}))[0] == 404
