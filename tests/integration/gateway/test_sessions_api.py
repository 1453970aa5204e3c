"""The Anbox gateway dialect as an independent client meets it, on a real bus."""

from typing import Any

import pytest

from appliance.bus.messages import SessionStatus
from appliance.errors import NoCapacityError
from tests.support.gateway import (
    FakeAgent,
    FakeStreamer,
    Street,
    has_agents,
    is_now,
    known,
    serving,
    status_of,
    until,
)

pytestmark = pytest.mark.integration

NO_AGENT = "No agent can host the container"


async def test_a_client_creates_a_session_and_talks_to_its_streamer(here: Street) -> None:
    agent, token = FakeAgent(here.bus, region="attic-1"), await here.token()
    async with serving(agent):
        await known(here, token)
        status, answer = await here.api(
            "POST",
            "/1.0/sessions/",
            token,
            json={
                "app": "demo",
                "region": "",
                "joinable": False,
                "screen": {"width": 801, "height": 599, "fps": 300, "density": 240},
                "extra_data": None,
            },
        )
        assert status == 201
        assert answer["type"] == "sync"
        assert answer["status"] == "success"
        made = answer["metadata"]
        assert set(made) == {"id", "joinable", "region", "status", "stun_servers", "url"}
        assert made["stun_servers"] == []
        assert made["region"] == "attic-1"
        box, _, own = made["id"].rpartition("-")
        assert (box, len(own)) == (agent.id, 20)
        launched = agent.launched[0]
        assert (launched.session, launched.application, launched.ephemeral) == (made["id"], "demo", True)
        assert launched.screen
        assert (launched.screen.width, launched.screen.height) == (801, 599)

        streamer = FakeStreamer(here.bus, made["id"])
        async with serving(streamer), here.http.ws_connect(made["url"]) as ws:
            opening = await streamer.next("open")
            assert opening.exclusive
            assert opening.role == "control"
            assert opening.label == "client"
            assert not opening.resumed
            assert opening.screen
            assert opening.screen.width == 801
            await ws.send_str('{"type":"discover"}')
            assert await ws.receive_str(timeout=5) == '{"echo": {"type":"discover"}}'
            await agent.report(made["id"], SessionStatus.ACTIVE)
            await until(lambda: is_now(here, token, made["id"], "active"))
            await ws.close()
            assert (await streamer.next("close")).peer == opening.peer

        _, answer = await here.api("GET", f"/1.0/sessions/{made['id']}", token)
        assert answer["metadata"] == {
            "id": made["id"],
            "app": "demo",
            "region": "attic-1",
            "joinable": False,
            "status": "active",
            "status_message": "",
            "container_id": "box1-i1",
            "cluster_id": "box1",
        }
        assert (await here.api("DELETE", f"/1.0/sessions/{made['id']}/?sync=true", token))[0] == 200
        assert agent.stopped[0].session == made["id"]
        assert await status_of(here, token, made["id"]) == "terminated"


@pytest.mark.parametrize(
    ("wish", "launched"),
    [
        ({}, (False, True, None, None)),
        ({"ephemeral": False}, (False, False, None, None)),
        ({"idle_time_min": 7}, (False, True, 7, None)),
        ({"idle_time_min": 0}, (False, False, 0, None)),
        ({"joinable": True}, (True, False, 5, None)),
        ({"joinable": True, "idle_time_min": 0}, (True, False, 0, None)),
        ({"joinable": True, "idle_time_min": 30, "app_version": 3}, (True, False, 30, 3)),
        ({"app_version": -1}, (False, True, None, -1)),
    ],
)
async def test_how_long_a_session_stays_is_what_was_asked_for(
    here: Street, wish: dict[str, Any], launched: tuple[Any, ...]
) -> None:
    agent, token = FakeAgent(here.bus), await here.token()
    async with serving(agent):
        await known(here, token)
        assert (await here.api("POST", "/1.0/sessions", token, json={"app": "demo"} | wish))[0] == 201
    asked = agent.launched[0]
    assert (asked.joinable, asked.ephemeral, asked.idle_time_min, asked.version) == launched


@pytest.mark.parametrize("data", [None, "text", 5, True, [1, {"a": None}], {"deep": {"er": ["x"]}}])
async def test_extra_data_of_any_type_reaches_the_agent(here: Street, data: Any) -> None:
    agent, token = FakeAgent(here.bus), await here.token()
    async with serving(agent):
        await known(here, token)
        body = {"app": "demo", "extra_data": data}
        assert (await here.api("POST", "/1.0/sessions", token, json=body))[0] == 201
    assert agent.launched[0].extra_data == data


async def test_an_instance_has_its_session_before_anyone_joins(here: Street) -> None:
    agent, token = FakeAgent(here.bus), await here.token()
    async with serving(agent):
        session = await agent.ask_for_session()
        status, answer = await here.api(
            "POST",
            f"/1.0/sessions/{session}/join",
            token,
            json={"disconnect_clients": True, "screen": {"width": 800, "height": 600}},
        )
        assert status == 200
        assert set(answer["metadata"]) == {"url", "stun_servers"}
        streamer = FakeStreamer(here.bus, session)
        async with serving(streamer), here.http.ws_connect(answer["metadata"]["url"]):
            opening = await streamer.next("open")
            assert opening.exclusive
            assert opening.screen
            assert (opening.screen.width, opening.screen.fps) == (800, None)
        assert await agent.ask_for_session(session) == session
        assert await FakeAgent(here.bus, id="other").ask_for_session(session) != session


async def test_null_is_what_is_not_said(here: Street) -> None:
    agent, token = FakeAgent(here.bus), await here.token()
    async with serving(agent):
        await known(here, token)
        names = ("region", "joinable", "ephemeral", "screen", "extra_data", "idle_time_min", "app_version")
        wish = {"app": "demo", **dict.fromkeys(names)}
        assert (await here.api("POST", "/1.0/sessions", token, json=wish))[0] == 201
        assert agent.launched[0].ephemeral
        status, answer = await here.api("POST", "/1.0/sessions", token, json={"app": None})
        assert (status, answer["error"]) == (400, "app: Field required")


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ("{", 400, "not JSON"),
        pytest.param("[" * 100_000, 413, "", id="oversized"),
        pytest.param("[" * 60_000, 400, "not JSON", id="deep"),
        ("[]", 400, "body"),
        ("{}", 400, "app"),
        ('{"app": ""}', 400, "app"),
        ('{"app": "demo", "screen": {"width": 0}}', 400, "screen.width"),
        ('{"app": "demo", "screen": {"width": 4000}}', 400, "screen.width"),
        ('{"app": "demo", "screen": {"density": 71}}', 400, "screen.density"),
        ('{"app": "demo", "extra_data": "\\ud800"}', 400, "not JSON"),
        pytest.param(
            '{"app": "demo", "extra_data": %s}' % ("[" * 400 + "]" * 400), 400, "not JSON", id="bog"
        ),
        ('{"app": "demo", "idle_time_min": %s}' % ("9" * 400), 400, "idle_time_min"),
        ('{"app": "demo", "idle_time_min": "5"}', 400, "idle_time_min"),
        ('{"app": "demo", "joinable": "yes"}', 400, "joinable"),
        ('{"app": "demo", "app_version": -2}', 400, "app_version"),
        ('{"app": "demo", "region": 5}', 400, "region"),
        ('{"app": "nothing"}', 404, NO_AGENT),
        ('{"app": "demo", "region": "moon"}', 404, NO_AGENT),
    ],
)
async def test_bad_wishes_are_answered_clearly(here: Street, body: str, status: int, error: str) -> None:
    token = await here.token()
    async with serving(FakeAgent(here.bus)):
        await known(here, token)
        got, answer = await here.api("POST", "/1.0/sessions", token, data=body)
    assert got == status
    assert error in answer["error"]
    assert (await here.api("GET", "/1.0/sessions", token))[1]["metadata"] == []


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize(
    "session", ["c25k8fh3pn6a8q46taug", "a:b", "*", "%2E%2E", pytest.param("x" * 300, id="long")]
)
async def test_unknown_sessions_do_not_exist(here: Street, method: str, session: str) -> None:
    token = await here.token()
    status, answer = await here.api(method, f"/1.0/sessions/{session}", token)
    assert status == 404
    assert answer["error"]


async def test_the_next_agent_is_asked_when_the_first_is_full(here: Street) -> None:
    token = await here.token()
    full = FakeAgent(here.bus, id="full", slots=9, refuses=NoCapacityError("no slot"))
    other = FakeAgent(here.bus, id="other", slots=1)
    async with serving(full), serving(other):
        await until(lambda: has_agents(here, token, 2))
        status, answer = await here.api("POST", "/1.0/sessions", token, json={"app": "demo"})
        assert status == 201
        assert len(full.launched) == 1
        assert other.launched[0].session == answer["metadata"]["id"]
        other.refuses = NoCapacityError("no slot")
        status, answer = await here.api("POST", "/1.0/sessions", token, json={"app": "demo"})
        assert (status, answer["error"]) == (404, NO_AGENT)
        assert len((await here.api("GET", "/1.0/sessions", token))[1]["metadata"]) == 1


async def test_lists_are_cut_sorted_and_filtered(here: Street) -> None:
    agent, token = FakeAgent(here.bus), await here.token()
    async with serving(agent):
        ids = [await agent.ask_for_session(application=name) for name in ("c", "a", "b")]
        await agent.report(ids[0], SessionStatus.ACTIVE)
        await until(lambda: is_now(here, token, ids[0], "active"))

        async def listed(query: str) -> Any:
            return (await here.api("GET", f"/1.0/sessions?{query}", token))[1]

        assert (await listed(""))["metadata"] == ids
        assert (await listed("limit=1&offset=1")) == {
            "type": "sync",
            "status": "success",
            "status_code": 200,
            "metadata": ids[1:2],
            "total_size": 3,
        }
        apps = (await listed("recursion=true&sort_by=app&sort_order=desc"))["metadata"]
        assert [each["app"] for each in apps] == ["c", "b", "a"]
        assert (await listed("status=active"))["metadata"] == ids[:1]
        assert (await listed("sort_order=desc&limit=2"))["metadata"] == ids[:0:-1]
        assert (await listed("offset=7"))["metadata"] == []
        for bad in (
            "limit=-1", "limit=x", "offset=1e9", "status=odd", "sort_by=odd", "sort_order=up",
            "recursion=maybe", "limit=1&limit=2",
        ):  # fmt: skip
            status, answer = await here.api("GET", f"/1.0/sessions?{bad}", token)
            assert (status, answer["error"].partition(":")[0]) == (400, bad.partition("=")[0])


async def test_batches_name_what_could_not_be_deleted(here: Street) -> None:
    agent, token = FakeAgent(here.bus), await here.token()
    async with serving(agent):
        first, second = await agent.ask_for_session(), await agent.ask_for_session()
        status, answer = await here.api(
            "DELETE", "/1.0/sessions?sync=true", token, json={"ids": [first, "nobody"]}
        )
        assert status == 207
        assert answer["metadata"]["deleted_sessions"] == [first]
        assert answer["metadata"]["errors"][0]["session_id"] == "nobody"
        assert answer["metadata"]["errors"][0]["status_code"] == 404
        status, answer = await here.api("DELETE", "/1.0/sessions", token, json={"ids": [second]})
        assert (status, answer["type"]) == (202, "async")
        await until(lambda: is_now(here, token, second, "terminated"))
        assert (await here.api("DELETE", "/1.0/sessions", token, json={"ids": ["nobody"]}))[0] == 404
        assert (await here.api("DELETE", "/1.0/sessions", token, json={"ids": []}))[0] == 400
        third = await agent.ask_for_session()
        status, answer = await here.api(
            "DELETE", "/1.0/sessions?sync=true", token, json={"ids": [third, third]}
        )
        assert (status, answer["metadata"]) == (200, {"deleted_sessions": [third], "errors": []})
        assert await status_of(here, token, third) == "terminated"
        status, answer = await here.api("POST", f"/1.0/sessions/{first}/join", token)
        assert status == 400
        assert "terminated" in answer["error"]
