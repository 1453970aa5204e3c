"""The REST API as a program on another machine meets it: envelope, credentials, lists, shares, errors."""

import asyncio
import time
from typing import Any

import pytest

from tests.e2e.anbox.clients import Crowd, Gateway

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="session")]

ORIGIN = "https://portal.example"
PREFLIGHT = {
    "Origin": ORIGIN,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type",
}


def refused(answer: tuple[int, Any], status: int) -> str:
    """The error text of an answer that must be an error with `status`."""
    code, body = answer
    assert code == status, body
    assert (body["type"], body["status"], body["status_code"]) == ("error", "failed", status)
    assert "metadata" not in body
    return str(body["error"])


async def test_status_needs_no_token_and_says_more_with_one(gateway: Gateway) -> None:
    async with gateway.http.get(gateway.url + "/1.0/status") as answer:
        assert answer.status == 200
        assert (await answer.json())["metadata"] == {"status": "healthy"}
    assert await gateway.get("/1.0/status") == {"status": "healthy", "agents": 1, "database_nodes": 1}


async def test_applications_are_those_of_the_box(gateway: Gateway) -> None:
    names = [each["name"] for each in await gateway.get("/1.0/applications")]
    assert set(names) == {"desktop", "test-pattern", "command", "own-desktop"}


@pytest.mark.parametrize("header", ["macaroon root=%s", "Macaroon root=%s", "MACAROON ROOT=%s"])
async def test_the_scheme_of_the_token_has_no_case(gateway: Gateway, header: str) -> None:
    headers = {"Authorization": header % gateway.token}
    async with gateway.http.get(gateway.url + "/1.0/sessions", headers=headers) as answer:
        assert answer.status == 200


async def test_the_token_may_be_in_the_query(gateway: Gateway) -> None:
    async with gateway.http.get(f"{gateway.url}/1.0/sessions?api_token={gateway.token}") as answer:
        assert answer.status == 200


@pytest.mark.parametrize("change", ["none", "another", "cut"])
async def test_a_wrong_token_is_401(gateway: Gateway, change: str) -> None:
    token = {"none": "", "another": gateway.token[:-4] + "AAAA", "cut": gateway.token[:20]}[change]
    assert refused(await gateway.api("GET", "/1.0/sessions", token=token), 401)
    assert refused(await gateway.api("POST", "/1.0/sessions/", {"app": "test-pattern"}, token=token), 401)


async def test_an_expired_token_is_401(gateway: Gateway) -> None:
    made = await gateway.box.cli("account", "create", "brief", "--expires", "8s")
    began = time.monotonic()
    assert (await gateway.api("GET", "/1.0/sessions", token=made["token"]))[0] == 200
    while (answer := await gateway.api("GET", "/1.0/sessions", token=made["token"]))[0] == 200:
        assert time.monotonic() - began < 20
        await asyncio.sleep(0.2)
    assert "expired" in refused(answer, 401)


async def test_a_deleted_account_is_401(gateway: Gateway) -> None:
    made = await gateway.box.cli("account", "create", "former")
    await gateway.box.cli("account", "delete", "former")
    assert refused(await gateway.api("GET", "/1.0/sessions", token=made["token"]), 401)


async def test_a_client_with_a_wrong_token_fails_in_its_connector(crowd: Crowd) -> None:
    client = await crowd.client()
    await client.start({"app": "test-pattern"}, token="nonsense")
    report = await client.until("r.over")
    assert report["error"] == {"code": 3, "message": "failed to create session: HTTP 401"}


async def test_an_unknown_application_is_404_with_the_words_of_the_dialect(gateway: Gateway) -> None:
    answer = await gateway.api("POST", "/1.0/sessions", {"app": "com.example.nowhere"})
    assert refused(answer, 404) == "No agent can host the container"
    answer = await gateway.api("POST", "/1.0/sessions", {"app": "test-pattern", "region": "nowhere"})
    assert refused(answer, 404) == "No agent can host the container"


@pytest.mark.parametrize(
    "body",
    ["{", "null", "[]", '"text"', "{}", '{"app": ""}', '{"app": 5}', '{"app": "test-pattern", "screen": 5}',
     '{"app": "test-pattern", "screen": {"width": 0}}', '{"app": "test-pattern", "screen": {"width": 5000}}',
     '{"app": "test-pattern", "idle_time_min": -1}', "[" * 60_000],
)  # fmt: skip
async def test_a_bad_body_is_400_and_launches_nothing(gateway: Gateway, body: str) -> None:
    before = await gateway.get("/1.0/sessions")
    answer = await gateway.api("POST", "/1.0/sessions/", data=body)
    assert refused(answer, 400)
    assert await gateway.get("/1.0/sessions") == before


async def test_a_body_that_is_too_large_is_413(gateway: Gateway) -> None:
    assert refused(await gateway.api("POST", "/1.0/sessions", data="x" * 200_000), 413)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/1.0/sessions/nosuch"),
        ("DELETE", "/1.0/sessions/nosuch"),
        ("POST", "/1.0/sessions/nosuch/join"),
        ("POST", "/1.0/sessions/nosuch/share"),
        ("GET", "/1.0/shares/nosuch"),
        ("GET", "/1.0/nonsense"),
        ("GET", "/1.0/sessions/..%2f..%2fkeys"),
    ],
)
async def test_what_does_not_exist_is_404(gateway: Gateway, method: str, path: str) -> None:
    assert refused(await gateway.api(method, path), 404)


async def test_sessions_are_listed_as_ids_or_whole_and_in_parts(
    gateway: Gateway, pattern: str, desktop: str
) -> None:
    status, body = await gateway.api("GET", "/1.0/sessions")
    ids = body["metadata"]
    assert status == 200
    assert {pattern, desktop} <= set(ids)
    assert body["total_size"] == len(ids)
    whole = await gateway.get("/1.0/sessions?recursion=true")
    assert [each["id"] for each in whole] == ids
    assert set(whole[0]) == {
        "id", "app", "region", "joinable", "status", "status_message", "container_id", "cluster_id",
    }  # fmt: skip
    status, body = await gateway.api("GET", "/1.0/sessions?limit=1&offset=1")
    assert (body["metadata"], body["total_size"]) == (ids[1:2], len(ids))
    assert set(await gateway.get("/1.0/sessions?status=active")) <= set(ids)
    assert await gateway.get("/1.0/sessions?sort_by=created_at&sort_order=desc") == ids[::-1]
    for query in ("limit=x", "offset=-1", "status=odd", "recursion=maybe", "sort_by=colour"):
        assert refused(await gateway.api("GET", f"/1.0/sessions?{query}"), 400)


async def test_a_preflight_of_another_origin_is_answered(gateway: Gateway, pattern: str) -> None:
    for path in ("/1.0/sessions/", "/1.0/sessions", f"/1.0/sessions/{pattern}/join"):
        async with gateway.http.options(gateway.url + path, headers=PREFLIGHT) as answer:
            assert answer.status in (200, 204)
            assert answer.headers["Access-Control-Allow-Origin"] in ("*", ORIGIN)
            assert "POST" in answer.headers["Access-Control-Allow-Methods"]
            allowed = answer.headers["Access-Control-Allow-Headers"].lower()
            assert "authorization" in allowed
            assert "content-type" in allowed


async def test_shares_are_made_listed_changed_and_revoked(gateway: Gateway) -> None:
    session = await gateway.session()
    ends = int(time.time()) + 3600
    wanted = {"type": "view", "description": "for Ada", "expiry_at": ends}
    status, answer = await gateway.api("POST", f"/1.0/sessions/{session}/share", wanted)
    assert status == 200
    share = answer["metadata"]
    assert (share["type"], share["expiry_at"]) == ("view", ends)
    async with gateway.http.get(share["url"]) as connected:
        assert connected.status == 200
        assert set((await connected.json())["metadata"]) == {"url", "stun_servers"}

    assert await gateway.get(f"/1.0/shares?session_id={session}") == [share["id"]]
    (whole,) = await gateway.get(f"/1.0/shares?recursion=true&session_id={session}")
    assert "url" not in whole
    assert whole["description"] == "for Ada"
    status, answer = await gateway.api("PATCH", f"/1.0/shares/{share['id']}", {"description": "for Bob"})
    assert (status, answer["metadata"]["description"]) == (200, "for Bob")

    assert (await gateway.api("DELETE", f"/1.0/shares/{share['id']}"))[0] == 202
    assert refused(await gateway.api("GET", f"/1.0/shares/{share['id']}"), 404)
    async with gateway.http.get(share["url"]) as connected:
        assert connected.status == 401
    await gateway.api("DELETE", f"/1.0/sessions/{session}")


async def test_a_session_has_five_shares_and_no_more(gateway: Gateway) -> None:
    session = await gateway.session()
    for _ in range(5):
        status, answer = await gateway.api("POST", f"/1.0/sessions/{session}/share", {"type": "adb"})
        assert status == 200
        assert f"/1.0/session/{session}/connect?type=adb&token=" in answer["metadata"]["url"]
    answer = await gateway.api("POST", f"/1.0/sessions/{session}/share", {"type": "adb"})
    assert "limit" in refused(answer, 403)
    too_long = {"type": "view", "expiry_at": int(time.time()) + 40 * 86400}
    assert refused(await gateway.api("POST", f"/1.0/sessions/{session}/share", too_long), 400)
    await gateway.api("DELETE", f"/1.0/sessions/{session}")
