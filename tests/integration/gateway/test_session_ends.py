"""What ends a session, and what does not."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from tests.support.gateway import (
    FakeAgent,
    Street,
    has_agents,
    is_now,
    known,
    serving,
    status_of,
    street,
    until,
)

pytestmark = pytest.mark.integration


async def test_a_session_whose_box_is_gone_can_be_deleted_by_force(here: Street) -> None:
    agent, token = FakeAgent(here.bus), await here.token()
    session = await agent.ask_for_session()
    await agent.announce(leaving=True)
    await until(lambda: has_agents(here, token, 0))
    assert (await here.api("DELETE", f"/1.0/sessions/{session}", token))[0] == 503
    assert (await here.api("DELETE", f"/1.0/sessions/{session}?force=true", token))[0] == 200
    assert await status_of(here, token, session) == "terminated"
    assert (await here.api("DELETE", f"/1.0/sessions/{session}", token))[0] == 200
    assert (await here.api("GET", f"/1.0/sessions/{session}", token))[0] == 404


async def test_sessions_end_when_their_instance_is_gone_and_heal_when_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.gateway.watch._ROUND_SECONDS", 0.2)
    async with street(tmp_path, lost_s=3.0) as here:
        agent, token = FakeAgent(here.bus), await here.token()
        async with serving(agent):
            session = await agent.ask_for_session()
            vanished = await agent.ask_for_session()
            kept = agent.instances.pop(vanished)
            await until(lambda: is_now(here, token, vanished, "error"))
            await until(lambda: is_now(here, token, session, "active"))  # its streamer said so to nobody
            agent.instances[vanished] = kept
            await until(lambda: is_now(here, token, vanished, "active"))


async def test_sessions_end_when_their_box_falls_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.gateway.watch._ROUND_SECONDS", 0.2)
    monkeypatch.setattr("appliance.gateway.registry.FRESH_SECONDS", 1.0)
    async with street(tmp_path, lost_s=3.0) as here:
        agent, token = FakeAgent(here.bus), await here.token()
        session = await agent.ask_for_session()
        await until(lambda: is_now(here, token, session, "error"))
        _, answer = await here.api("GET", f"/1.0/sessions/{session}", token)
        assert "box does not answer" in answer["metadata"]["status_message"]
        assert await agent.ask_for_session(session) == session
        assert await status_of(here, token, session) in ("created", "active")


async def test_an_outage_of_the_bus_counts_for_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.gateway.watch._ROUND_SECONDS", 0.1)
    monkeypatch.setattr("appliance.bus.server._RESTART_SECONDS", (4,))
    async with street(tmp_path, lost_s=3.0) as here:
        agent, token = FakeAgent(here.bus), await here.token()
        async with serving(agent):
            session = await agent.ask_for_session()
            os.kill(here.server.pid or 0, signal.SIGKILL)
            await asyncio.wait_for(here.bus.reconnected(1), 15)
            await agent.announce()
            await known(here, token)
            assert await status_of(here, token, session) in ("created", "active")
            assert await agent.ask_for_session(session) == session


async def test_sessions_survive_a_killed_bus(here: Street) -> None:
    agent, token = FakeAgent(here.bus), await here.token()
    async with serving(agent):
        session = await agent.ask_for_session()
        os.kill(here.server.pid or 0, signal.SIGKILL)
        await asyncio.wait_for(here.bus.reconnected(1), 10)
        assert await status_of(here, token, session) == "created"
        await known(here, token)
        assert (await here.api("POST", "/1.0/sessions", token, json={"app": "demo"}))[0] == 201
        assert await agent.ask_for_session(session) == session
