"""What the viewer page calls: pairing, guests, the list, the way in; and who is kept out."""

import asyncio
import socket
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from appliance.bus.messages import Role
from appliance.control.credentials import ShareParams
from appliance.doorkeeper import Doorkeeper
from appliance.errors import NotFoundError, UnavailableError
from tests.support.gateway import FakeAgent, FakeStreamer, Street, serving, settings, street, until

pytestmark = pytest.mark.integration


async def paired(here: Street, name: str = "Pixel") -> dict[str, Any]:
    pin, _ = await here.gateway.new_pin()
    status, answer = await here.api("POST", "/fanlight/pair", json={"pin": pin, "name": name})
    assert status == 200
    return answer


async def test_a_pin_pairs_one_browser_once(here: Street) -> None:
    status, nobody = await here.api("GET", "/fanlight/me")
    assert (status, nobody["paired"], nobody["role"], nobody["box"]) == (200, False, None, "attic")
    pin, _ = await here.gateway.new_pin()
    async with here.http.post(here.base + "/fanlight/pair", json={"pin": pin, "name": "Pixel"}) as answer:
        assert answer.status == 200
        me = await answer.json()
        cookie = answer.cookies["fanlight_device"]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"], cookie["secure"]) == (
        True,
        "Strict",
        "/",
        "",
    )
    assert me == {
        "box": "attic",
        "paired": True,
        "role": "control",
        "label": "Pixel",
        "version": me["version"],
        "session": None,
    }
    assert (await here.api("GET", "/fanlight/me"))[1] == me
    assert (await here.api("POST", "/fanlight/pair", json={"pin": pin}))[0] == 401
    (device,) = await here.gateway.devices()
    assert cookie.value not in device.model_dump_json()
    await here.api("POST", "/fanlight/leave")
    assert await here.gateway.devices() == []
    assert (await here.api("GET", "/fanlight/instances"))[0] == 401


async def test_guessing_a_pin_ends_soon(here: Street) -> None:
    pin, _ = await here.gateway.new_pin()
    wrong = f"{(int(pin) + 1) % 1_000_000:06}"
    statuses = [(await here.api("POST", "/fanlight/pair", json={"pin": wrong}))[0] for _ in range(5)]
    assert statuses == [401] * 5
    assert (await here.api("POST", "/fanlight/pair", json={"pin": pin}))[0] == 429
    fresh, _ = await here.gateway.new_pin()
    assert (await here.api("POST", "/fanlight/pair", json={"pin": fresh}))[0] == 200
    statuses = [(await here.api("POST", "/fanlight/pair", json={"pin": wrong}))[0] for _ in range(6)]
    assert statuses[-1] == 429


@pytest.mark.parametrize(
    "body", ["", "{", '{"pin": 5}', '{"pin": "x", "name": 3}', "[]", '{"pin": null}', b'{"pin": "\xff"}']
)
async def test_malformed_pairing_is_invalid(here: Street, body: str | bytes) -> None:
    assert (await here.api("POST", "/fanlight/pair", data=body))[0] == 400


async def test_strangers_and_pages_of_others_stay_out(here: Street) -> None:
    assert (await here.api("GET", "/fanlight/instances"))[0] == 401
    assert (await here.api("POST", "/fanlight/launch", json={"application": "demo"}))[0] == 401
    assert (await here.api("POST", "/fanlight/sessions/x/watch"))[0] == 401
    await paired(here)
    for origin in ("https://evil.example", "null", "http://[", here.base.replace("http:", "https:")):
        for method, path in (("GET", "/fanlight/me"), ("POST", "/fanlight/leave"), ("GET", "/")):
            async with here.http.request(method, here.base + path, headers={"Origin": origin}) as answer:
                assert answer.status == 403
                assert "Access-Control-Allow-Origin" not in answer.headers
    assert (await here.api("GET", "/fanlight/me", headers={"Origin": here.base}))[1]["paired"]


async def test_a_paired_browser_lists_launches_and_watches(here: Street) -> None:
    await paired(here)
    agent = FakeAgent(here.bus)
    async with serving(agent):
        session = await agent.ask_for_session()
        _, listed = await here.api("GET", "/fanlight/instances")
        assert listed == {
            "instances": [
                {
                    "session": session,
                    "application": "desktop",
                    "status": "created",
                    "message": "",
                    "viewers": 0,
                    "width": 1280,
                    "height": 720,
                    "agent": "name of box1",
                }
            ],
            "applications": [{"name": "demo"}],
            "cameras": [],
        }
        status, launched = await here.api("POST", "/fanlight/launch", json={"application": "demo"})
        assert status == 201
        assert agent.launched[0].session == launched["session"]
        assert (agent.launched[0].joinable, agent.launched[0].ephemeral) == (True, False)
        status, way = await here.api("POST", f"/fanlight/sessions/{session}/watch")
        assert (status, set(way), way["role"]) == (200, {"url", "stun_servers", "role"}, "control")
        streamer = FakeStreamer(here.bus, session)
        async with serving(streamer), here.http.ws_connect(way["url"], headers={"Origin": here.base}) as ws:
            opening = await streamer.next("open")
            assert (opening.exclusive, opening.label) == (False, "Pixel")
            await streamer.tell_viewers(opening.peer)
            await until(lambda: _viewers(here, 1))
            (device,) = await here.gateway.devices()
            await here.gateway.unpair(device.id)
            kicked = await streamer.next("kick")
            assert (kicked.peer, kicked.text) == (opening.peer, "this browser was unpaired")
            assert (await ws.receive_json(timeout=5))["type"] == "fanlight::end"
        with pytest.raises(aiohttp.WSServerHandshakeError, match="401"):
            await here.http.ws_connect(way["url"])


async def _viewers(here: Street, number: int) -> bool:
    return bool((await here.api("GET", "/fanlight/instances"))[1]["instances"][0]["viewers"] == number)


async def test_a_revoked_viewer_without_a_socket_is_kicked_as_well(here: Street) -> None:
    await paired(here)
    (device,) = await here.gateway.devices()
    agent = FakeAgent(here.bus)
    async with serving(agent):
        session = await agent.ask_for_session()
        _, way = await here.api("POST", f"/fanlight/sessions/{session}/watch")
        streamer = FakeStreamer(here.bus, session)
        async with serving(streamer):
            async with here.http.ws_connect(way["url"]):
                peer = (await streamer.next("open")).peer
            await streamer.next("close")
            await here.gateway.unpair(device.id)
            await streamer.tell_viewers("d-someone-else", peer)
            assert (await streamer.next("kick")).peer == peer


async def test_the_pages_socket_opens_for_its_own_page_only(here: Street) -> None:
    await paired(here)
    agent = FakeAgent(here.bus)
    async with serving(agent):
        session = await agent.ask_for_session()
        _, way = await here.api("POST", f"/fanlight/sessions/{session}/watch")
        with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
            await here.http.ws_connect(way["url"], headers={"Origin": "https://evil.example"})


async def test_a_guest_sees_one_session_with_its_role(here: Street) -> None:
    agent = FakeAgent(here.bus)
    async with serving(agent):
        mine, other = await agent.ask_for_session(), await agent.ask_for_session()
        share, url, _ = await here.gateway.share(mine, Role.VIEW, 3600)
        assert url.startswith(here.base + "/#share=")
        token = url.partition("#share=")[2]
        status, me = await here.api("POST", "/fanlight/guest", json={"share": token})
        assert (status, me["paired"], me["role"], me["session"]) == (200, False, "view", mine)
        assert (await here.api("GET", "/fanlight/me"))[1]["session"] == mine
        _, listed = await here.api("GET", "/fanlight/instances")
        assert [each["session"] for each in listed["instances"]] == [mine]
        assert listed["applications"] == []
        assert (await here.api("POST", f"/fanlight/sessions/{mine}/watch"))[1]["role"] == "view"
        assert (await here.api("POST", f"/fanlight/sessions/{other}/watch"))[0] == 403
        assert (await here.api("POST", "/fanlight/launch", json={"application": "demo"}))[0] == 403
        assert (await here.api("POST", "/fanlight/guest", json={"share": token + "x"}))[0] == 401
        assert (await here.api("DELETE", f"/1.0/shares/{share}", await here.token()))[0] == 202
        assert (await here.api("POST", f"/fanlight/sessions/{mine}/watch"))[0] == 401
        assert (await here.api("GET", "/fanlight/me"))[1]["role"] is None


async def test_a_link_that_is_revoked_on_the_box_ends_whoever_came_in_by_it(
    here: Street, tmp_path: Path
) -> None:
    agent, box = FakeAgent(here.bus), Doorkeeper(here.gateway, tmp_path)
    async with serving(agent):
        session = await agent.ask_for_session()
        made = await box.share_session(here.gateway, session, ShareParams(role=Role.CONTROL))
        (shown,) = (await box.shares()).shares
        assert (shown.id, shown.session, shown.application) == (made.id, session, "desktop")
        assert (shown.role, shown.expires_at) == (Role.CONTROL, made.expires_at)
        await here.api("POST", "/fanlight/guest", json={"share": made.url.partition("#share=")[2]})
        _, way = await here.api("POST", f"/fanlight/sessions/{session}/watch")
        streamer = FakeStreamer(here.bus, session)
        async with serving(streamer), here.http.ws_connect(way["url"], headers={"Origin": here.base}) as ws:
            opening = await streamer.next("open")
            await box.unshare(made.id)
            kicked = await streamer.next("kick")
            assert (kicked.peer, kicked.text) == (opening.peer, "the share was revoked")
            assert (await ws.receive_json(timeout=5))["type"] == "fanlight::end"
        assert (await box.shares()).shares == []
        with pytest.raises(NotFoundError):
            await box.unshare(made.id)


async def test_a_paired_browser_that_follows_a_link_stays_paired(here: Street) -> None:
    await paired(here)
    agent = FakeAgent(here.bus)
    async with serving(agent):
        session = await agent.ask_for_session()
        _, url, _ = await here.gateway.share(session, Role.VIEW, 3600)
        body = {"share": url.partition("#share=")[2]}
        _, me = await here.api("POST", "/fanlight/guest", json=body)
        assert (me["paired"], me["role"], me["session"]) == (True, "control", session)
        assert (await here.api("GET", "/fanlight/me"))[1]["session"] is None


async def test_the_page_comes_with_a_policy_and_is_cached(here: Street) -> None:
    async with here.http.get(here.base + "/") as answer:
        assert answer.status == 200
        assert answer.content_type == "text/html"
        policy = answer.headers["Content-Security-Policy"]
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert f"ws://{here.base.removeprefix('http://')}" in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Encoding"] == "gzip"
        etag, whole = answer.headers["ETag"], await answer.read()
    async with here.http.get(here.base + "/", headers={"If-None-Match": etag}) as answer:
        assert (answer.status, await answer.read()) == (304, b"")
    async with here.http.get(here.base + "/index.html", headers={"Accept-Encoding": "identity"}) as answer:
        assert "Content-Encoding" not in answer.headers
        assert await answer.read() == whole
    for path in ("/nothing.js", "/../app.py", "/%2e%2e/app.py", "/..%2fapp.py", "/web/index.html"):
        status, _ = await here.api("GET", path)
        assert status == 404


async def test_operators_find_health_metrics_and_the_list_of_calls(here: Street) -> None:
    assert (await here.api("GET", "/healthz"))[0] == 200
    assert (await here.api("GET", "/readyz"))[0] == 200
    assert (await here.api("GET", "/ca.pem"))[0] == 404
    agent = FakeAgent(here.bus)
    async with serving(agent):
        session = await agent.ask_for_session()
        await FakeStreamer(here.bus, session).tell_viewers("d1-x")

        async def told() -> bool:
            async with here.http.get(here.base + "/metrics") as answer:
                text = await answer.text()
            sessions = 'anbox_stream_gateway_sessions_total{status="created"} 1.0' in text
            return (
                sessions
                and f'webrtc_nack_count{{instance="box1-i1",session="{session}",viewer="d1-x"}}' in text
            )

        await until(told)
        async with here.http.get(here.base + "/internal/1.0/metrics") as answer:
            text = await answer.text()
        assert "anbox_stream_gateway_agents_total 1.0" in text
        assert 'http_requests_total{handler="healthz",method="GET",status="200"} 1.0' in text
        assert "fanlight_viewers{" in text
    _, described = await here.api("GET", "/openapi.json")
    assert "post" in described["paths"]["/1.0/sessions/{id}/join"]
    assert all(call["summary"] for calls in described["paths"].values() for call in calls.values())


async def test_too_many_requests_are_turned_away(tmp_path: Path) -> None:
    async with street(tmp_path, settings(limits={"requests_per_second": 5})) as here:
        statuses = [(await here.api("GET", "/1.0/status"))[0] for _ in range(20)]
        assert statuses == [200] * 20

        async def turned_away() -> bool:
            return (await here.api("GET", "/1.0/status"))[0] == 429

        await until(turned_away)


async def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ExceptionGroup) as caught:
            async with street(tmp_path, settings(gateway={"listen": f"127.0.0.1:{port}"})):
                pass
    fault = caught.value.subgroup(UnavailableError)
    assert fault
    assert str(port) in repr(fault.exceptions)
    assert "taken" in repr(fault.exceptions)


async def test_no_secret_reaches_the_log(here: Street, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    await paired(here)
    token, agent = await here.token(), FakeAgent(here.bus)
    async with serving(agent):
        session = await agent.ask_for_session()
        share = (await here.gateway.share(session, Role.VIEW, 3600)).url.partition("#share=")[2]
        await here.api("POST", "/fanlight/guest", json={"share": share})
        _, way = await here.api("POST", f"/fanlight/sessions/{session}/watch")
        await here.api("GET", f"/1.0/sessions?api_token={token}&limit=x")
        async with here.http.ws_connect(way["url"]):
            pass
        reader, writer = await _raw(here)
        writer.write(f"GET /1.0/sessions?api_token={token} NONSENSE\r\n\r\n".encode())
        assert b"400" in await reader.readline()
        writer.close()
    ticket = way["url"].partition("token=")[2]
    for secret in (token, share, ticket):
        assert secret not in caplog.text


async def _raw(here: Street) -> tuple[Any, Any]:
    return await asyncio.open_connection("127.0.0.1", here.gateway.port)
