"""What ends a session, and what does not."""

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from appliance.bus import subjects
from appliance.bus.messages import (
    InstanceInfo,
    InstanceState,
    SessionGrant,
    SessionRequest,
    SessionStatus,
)
from appliance.gateway.tokens import new_id
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
    assert (await here.api("DELETE", f"/1.0/sessions/{session}", token))[0] == 400
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


async def test_a_session_that_is_taken_up_again_has_as_much_time_as_a_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.gateway.watch._ROUND_SECONDS", 0.2)
    async with street(tmp_path, lost_s=3.0) as here:
        agent, token = FakeAgent(here.bus), await here.token()
        session = await agent.ask_for_session()
        await until(lambda: is_now(here, token, session, "error"))
        again = SessionRequest(agent=agent.id, application="desktop", session=session)
        await here.bus.request(subjects.sessions(agent.id), again, SessionGrant)
        await asyncio.sleep(1)
        assert await status_of(here, token, session) == "created"
        await until(lambda: is_now(here, token, session, "error"))


async def _back(here: Street) -> None:
    """Wait until the bus was away, and both the agent and the gateway are on it again."""
    for each in (here.bus, here.gateway._context.bus):
        await asyncio.wait_for(each.reconnected(1), 15)


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
            await _back(here)
            await agent.announce()
            await known(here, token)
            assert await status_of(here, token, session) in ("created", "active")
            assert await agent.ask_for_session(session) == session


async def test_sessions_survive_a_killed_bus(here: Street) -> None:
    agent, token = FakeAgent(here.bus), await here.token()
    async with serving(agent):
        session = await agent.ask_for_session()
        os.kill(here.server.pid or 0, signal.SIGKILL)
        await _back(here)
        assert await status_of(here, token, session) == "created"
        await known(here, token)
        assert (await here.api("POST", "/1.0/sessions", token, json={"app": "demo"}))[0] == 201
        assert await agent.ask_for_session(session) == session


async def test_a_session_whose_box_may_come_back_is_not_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.gateway.watch._ROUND_SECONDS", 0.1)
    monkeypatch.setattr("appliance.gateway.watch._KEEP_SECONDS", 0)
    monkeypatch.setattr("appliance.gateway.watch._KEEP_ENDED", 0)
    monkeypatch.setattr("appliance.gateway.registry.FRESH_SECONDS", 0.5)
    async with street(tmp_path, lost_s=3.0) as here:
        agent, token = FakeAgent(here.bus), await here.token()
        session, ended = await agent.ask_for_session(), await agent.ask_for_session()
        await agent.report(ended, SessionStatus.TERMINATED)
        await until(lambda: is_now(here, token, session, "error"))

        async def only_one() -> bool:
            return [each.id for each in await here.gateway.sessions()] == [session]

        await until(only_one)
        async with serving(agent):
            await until(lambda: is_now(here, token, session, "active"))


async def test_an_ephemeral_session_that_has_ended_is_soon_forgotten_and_one_that_failed_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.gateway.watch._ROUND_SECONDS", 0.1)
    monkeypatch.setattr("appliance.gateway.watch._KEEP_EPHEMERAL_SECONDS", 0)
    async with street(tmp_path) as here:
        agent, token = FakeAgent(here.bus), await here.token()
        async with serving(agent):
            await known(here, token)

            async def ended(status: SessionStatus, **wish: bool) -> str:
                _, made = await here.api("POST", "/1.0/sessions", token, json={"app": "demo", **wish})
                session = str(made["metadata"]["id"])
                del agent.instances[session]
                await agent.report(session, status)
                return session

            kept = [
                await ended(SessionStatus.TERMINATED, ephemeral=False),
                await ended(SessionStatus.TERMINATED, joinable=True),
                await ended(SessionStatus.ERROR),
            ]
            await ended(SessionStatus.TERMINATED)

            async def all_others() -> bool:
                return [each.id for each in await here.gateway.sessions()] == kept

            await until(all_others)


async def test_who_has_not_heard_that_it_shall_end_is_told_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.gateway.watch._ROUND_SECONDS", 0.1)
    async with street(tmp_path, lost_s=4.0) as here:
        agent, token = FakeAgent(here.bus), await here.token()
        async with serving(agent):
            session = await agent.ask_for_session()
            sessions = here.gateway._context.sessions
            await sessions.change(session, SessionStatus.TERMINATING, "a gateway that died")
            await until(lambda: is_now(here, token, session, "terminated"))
            assert [each.session for each in agent.stopped][:1] == [session]


async def test_what_a_box_still_runs_of_a_deleted_session_is_stopped_when_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.gateway.watch._ROUND_SECONDS", 0.1)
    monkeypatch.setattr("appliance.gateway.registry.FRESH_SECONDS", 1.5)
    async with street(tmp_path, lost_s=2.0) as here:
        agent, token = FakeAgent(here.bus), await here.token()
        deleted, terminated = await agent.ask_for_session(), await agent.ask_for_session()
        assert (await here.api("DELETE", f"/1.0/sessions/{terminated}?force=true", token))[0] == 200
        assert await status_of(here, token, terminated) == "terminated"
        await until(lambda: is_now(here, token, deleted, "error"))
        assert (await here.api("DELETE", f"/1.0/sessions/{deleted}", token))[0] == 200
        assert (await here.api("GET", f"/1.0/sessions/{deleted}", token))[0] == 404
        async with serving(agent):
            session = await agent.ask_for_session()
            await until(lambda: set(agent.instances) == {session})
        assert {each.session: each.anew for each in agent.stopped} == {deleted: True, terminated: False}


async def test_what_runs_goes_on_where_all_records_were_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.gateway.watch._ROUND_SECONDS", 0.1)
    yesterday = time.time() - 86_400
    with monkeypatch.context() as then:
        then.setattr("time.time", lambda: yesterday)
        lost, shows_a_channel = (subjects.id_of("box1", new_id()) for _ in range(2))
    async with street(tmp_path, lost_s=3.0) as here:
        agent, token = FakeAgent(here.bus), await here.token()
        for session, application in ((lost, "demo"), (shows_a_channel, "lobby")):
            agent.instances[session] = InstanceInfo(
                id="box1-i1", application=application, state=InstanceState.RUNNING, session=session
            )
        async with serving(agent):
            await until(lambda: agent.stopped)
            assert [each.session for each in agent.stopped] == [shows_a_channel]
            assert (await here.api("POST", f"/1.0/sessions/{lost}/join", token, json={}))[0] == 200
            (found,) = await here.gateway.sessions()
            assert (found.id, found.status) == (lost, SessionStatus.ACTIVE)


async def test_what_runs_is_not_stopped_because_a_listing_missed_its_session(here: Street) -> None:
    agent = FakeAgent(here.bus)
    async with serving(agent):
        session, over = await agent.ask_for_session(), await agent.ask_for_session()
        sessions = here.gateway._context.sessions
        await sessions.change(over, SessionStatus.TERMINATED, "enough")
        for each in (session, over):
            await sessions.stop_leftover(agent.id, each)
        await until(lambda: agent.stopped)
        assert [(each.session, each.reason) for each in agent.stopped] == [(over, "enough")]


async def test_a_session_that_heals_at_that_moment_is_not_forgotten(here: Street) -> None:
    sessions = here.gateway._context.sessions
    request = SessionRequest(agent="box1", application="desktop")  # what is announced as running heals itself
    session = (await here.bus.request(subjects.sessions("box1"), request, SessionGrant)).session
    await sessions.change(session, SessionStatus.ERROR, "its box does not answer any more")
    listed = await sessions.get(session)
    await sessions.change(session, SessionStatus.ACTIVE, "")
    assert not await sessions.forget(listed)
    assert (await sessions.get(session)).open
