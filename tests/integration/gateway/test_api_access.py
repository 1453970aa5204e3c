"""How the Anbox gateway dialect is reached, and by whom: paths, tokens, other pages."""

import os
import signal
from datetime import UTC, datetime, timedelta

import pytest

from appliance.gateway import macaroon
from tests.support.gateway import FakeAgent, FakeStreamer, Street, serving, until

pytestmark = pytest.mark.integration


async def test_every_spelling_of_a_path_leads_to_the_same(here: Street) -> None:
    agent, token = FakeAgent(here.bus), await here.token()
    async with serving(agent):
        session = await agent.ask_for_session()
        spellings = [
            f"/1.0/{word}/{session}{slash}" for word in ("session", "sessions") for slash in ("", "/")
        ]
        answers = [await here.api("GET", path, token) for path in spellings]
        assert [status for status, _ in answers] == [200] * 4
        for path in spellings:
            join = path.rstrip("/") + "/join" + ("/" if path.endswith("/") else "")
            assert (await here.api("POST", join, token))[0] == 200
        for path in ("/1.0/status/", "/1.0/applications/", "/1.0/regions/", "/1.0/config/", "/1.0/shares/"):
            assert (await here.api("GET", path, token))[0] == 200


async def test_the_singular_spelling_opens_the_same_socket(here: Street) -> None:
    agent, token = FakeAgent(here.bus), await here.token()
    async with serving(agent):
        session = await agent.ask_for_session()
        _, answer = await here.api("POST", f"/1.0/sessions/{session}/join", token)
        url = answer["metadata"]["url"].replace("/1.0/sessions/", "/1.0/session/")
        streamer = FakeStreamer(here.bus, session)
        async with serving(streamer), here.http.ws_connect(url):
            assert await streamer.next("open")


@pytest.mark.parametrize(
    ("path", "token", "error"),
    [
        ("/1.0/sessions", "", "macaroon root="),
        ("/1.0/sessions", "AgEUYW5ib3g", "malformed"),
        ("/1.0/sessions", "!!!", "malformed"),
        ("/1.0/nonsense", "", "macaroon root="),
    ],
)
async def test_who_has_no_token_is_told_so(here: Street, path: str, token: str, error: str) -> None:
    status, answer = await here.api("GET", path, token)
    assert status == 401
    assert (answer["type"], answer["status"], answer["status_code"]) == ("error", "failed", 401)
    assert error in answer["error"]
    assert "metadata" not in answer
    async with here.http.get(here.base + path) as refused:
        assert refused.headers["WWW-Authenticate"] == "Macaroon"


async def test_tokens_in_every_spelling(here: Street) -> None:
    token = await here.token("tool")
    for header in (f"macaroon root={token}", f"Macaroon root={token}", f"MACAROON  root={token}"):
        assert (await here.api("GET", "/1.0/sessions", headers={"Authorization": header}))[0] == 200
    assert (await here.api("GET", f"/1.0/sessions?api_token={token}"))[0] == 200
    await here.gateway.delete_account("tool")
    assert (await here.api("GET", "/1.0/sessions", token))[0] == 401


async def test_an_expired_token_is_refused(here: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    token = await here.gateway.create_account("brief", -1)
    status, answer = await here.api("GET", "/1.0/sessions", token)
    assert status == 401
    assert "expired" in answer["error"]


@pytest.mark.parametrize("expires_s", [None, 3600])
async def test_a_token_says_when_it_ends(here: Street, expires_s: int | None) -> None:
    (caveat,) = macaroon.parse(await here.gateway.create_account("tool", expires_s)).caveats
    left = datetime.fromisoformat(caveat) - datetime.now(UTC)
    assert left > timedelta(days=36_500) if expires_s is None else 3500 < left.total_seconds() <= 3600


async def test_status_tells_strangers_less(here: Street) -> None:
    token = await here.token()
    assert (await here.api("GET", "/1.0/status"))[1]["metadata"] == {"status": "healthy"}
    assert (await here.api("GET", "/1.0/status", token))[1]["metadata"] == {
        "status": "healthy",
        "agents": 0,
        "database_nodes": 1,
    }


async def test_without_a_bus_the_gateway_is_unhealthy_for_everybody(
    here: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.bus.server._RESTART_SECONDS", (60,))
    token = await here.token()
    os.kill(here.server.pid or 0, signal.SIGKILL)
    await until(lambda: not here.gateway._context.bus.connected)
    for given in (token, ""):
        status, answer = await here.api("GET", "/1.0/status", given)
        assert (status, answer["metadata"]) == (200, {"status": "unhealthy"})
    assert (await here.api("GET", "/1.0/sessions", token))[0] == 503
    assert (await here.api("GET", "/fanlight/me", headers={"Cookie": "fanlight_device=a.b"}))[0] == 503


async def test_another_page_may_use_the_api_with_its_own_token(here: Street) -> None:
    token = await here.token()
    page = {"Origin": "https://elsewhere.example"}
    asked = page | {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    async with here.http.options(here.base + "/1.0/sessions/", headers=asked) as answer:
        assert answer.status == 204
        assert answer.headers["Access-Control-Allow-Origin"] == page["Origin"]
        assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]
        assert "DELETE" in answer.headers["Access-Control-Allow-Methods"]
        assert "Access-Control-Allow-Credentials" not in answer.headers
    for given, status in ((token, 200), ("", 401)):
        headers = page | {"Authorization": f"Macaroon root={given}"}
        async with here.http.get(here.base + "/1.0/sessions", headers=headers) as answer:
            assert answer.status == status
            assert answer.headers["Access-Control-Allow-Origin"] == page["Origin"]


async def test_what_is_not_there_says_so(here: Street) -> None:
    token = await here.token()
    agent = FakeAgent(here.bus)
    async with serving(agent):
        session = await agent.ask_for_session()
        assert (await here.api("GET", f"/1.0/sessions/{session}/sockets/master?token=x"))[0] == 401
        assert (await here.api("PUT", "/1.0/sessions", token))[0] == 405
        _, made = await here.api("POST", f"/1.0/sessions/{session}/share", token, json={"type": "adb"})
        _, answer = await here.api("GET", made["metadata"]["url"].removeprefix(here.base))
        adb = answer["metadata"]["url"].replace("ws://", "http://").removeprefix(here.base)
        assert "/sockets/adb?token=" in adb
        status, answer = await here.api("GET", adb)
        assert (status, answer["error"]) == (400, f"session {session} has no adb")
