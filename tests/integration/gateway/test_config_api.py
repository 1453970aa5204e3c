"""What an operator changes while gateways run: limits, and which pages may call."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from pydantic import BaseModel

from appliance.bus.connection import Bus
from appliance.gateway.service import Gateway
from appliance.gateway.settings import SettingsPatch
from tests.support.gateway import Street, serving, settings, street, until

pytestmark = pytest.mark.integration

PORTAL, OTHER = "https://portal.example", "https://other.example"


async def config(here: Street, token: str) -> dict[str, Any]:
    return dict((await here.api("GET", "/1.0/config", token))[1]["metadata"])


async def preflight(here: Street, origin: str) -> tuple[int, str, str]:
    """Status, allowed methods and allowed headers."""
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    async with here.http.options(here.base + "/1.0/sessions/", headers=asked) as answer:
        found = answer.headers
        methods = found.get("Access-Control-Allow-Methods", "")
        return answer.status, methods, found.get("Access-Control-Allow-Headers", "")


async def test_the_file_says_what_holds_at_first(tmp_path: Path) -> None:
    given = settings(
        gateway={"listen": "127.0.0.1:0", "allowed_origins": [PORTAL], "allowed_headers": ["X-Portal"],
                 "allowed_methods": ["GET"]},
        limits={"requests_per_second": 77},
    )  # fmt: skip
    async with street(tmp_path, given) as here:
        assert await config(here, await here.token()) == {
            "max_http_requests_per_second": 77,
            "max_message_bytes": 65536,
            "https_allowed_origin": [PORTAL],
            "https_allowed_headers": ["X-Portal"],
            "https_allowed_methods": ["GET"],
            "max_viewers_per_session": 100,
            "max_shares_per_session": 5,
        }
        assert await preflight(here, PORTAL) == (204, "GET", "X-Portal")
        assert (await preflight(here, OTHER))[0] == 403


async def test_a_change_holds_at_once_and_can_be_taken_back(here: Street) -> None:
    token = await here.token()
    assert (await preflight(here, OTHER))[0] == 204
    wanted = {"https_allowed_origin": [PORTAL], "https_allowed_headers": ["Authorization"]}
    status, answer = await here.api("PATCH", "/1.0/config", token, json=wanted)
    assert (status, answer["metadata"]["https_allowed_origin"]) == (200, [PORTAL])
    assert (await preflight(here, PORTAL))[2] == "Authorization"
    assert (await preflight(here, OTHER))[0] == 403
    await here.api("PATCH", "/1.0/config", token, json={"https_allowed_origin": None})
    assert (await preflight(here, OTHER))[0] == 204
    assert (await config(here, token))["https_allowed_headers"] == ["Authorization"]


async def test_another_file_holds_under_what_was_changed(here: Street) -> None:
    token = await here.token()
    await here.api("PATCH", "/1.0/config", token, json={"max_message_bytes": 2048})
    limits = {"requests_per_second": 99, "message_bytes": 4096, "viewers_per_session": 7}
    here.gateway.reload(settings(limits=limits))
    told = await config(here, token)
    assert (told["max_http_requests_per_second"], told["max_viewers_per_session"]) == (99, 7)
    assert told["max_message_bytes"] == 2048
    await here.api("PATCH", "/1.0/config", token, json={"max_message_bytes": None})
    assert (await config(here, token))["max_message_bytes"] == 4096


async def test_a_lower_rate_is_felt(here: Street) -> None:
    token = await here.token()
    status, _ = await here.api("PATCH", "/1.0/config", token, json={"max_http_requests_per_second": 2})
    assert status == 200
    async with asyncio.timeout(10):
        while (await here.api("GET", "/1.0/config", token))[0] == 200:
            pass

    async def told_when_to_come() -> bool:
        async with here.http.get(here.base + "/1.0/status") as answer:
            return (answer.status, answer.headers.get("Retry-After")) == (429, "1")

    await until(told_when_to_come)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"max_http_requests_per_second": 0}, "max_http_requests_per_second"),
        ({"max_message_bytes": "many"}, "max_message_bytes"),
        ({"https_allowed_origin": ["portal.example"]}, "https_allowed_origin.0"),
        ({"https_allowed_headers": ["X\r\nSet-Cookie: a=b"]}, "https_allowed_headers.0"),
        ({"max_viewers_per_session": 5}, "max_viewers_per_session"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_what_cannot_be_is_refused_by_name(here: Street, body: dict[str, Any], field: str) -> None:
    token = await here.token()
    before = await config(here, token)
    status, answer = await here.api("PATCH", "/1.0/config", token, json=body)
    assert (status, answer["error"].partition(":")[0]) == (400, field)
    assert await config(here, token) == before


async def test_a_change_holds_for_all_gateways_and_after_a_restart(here: Street, tmp_path: Path) -> None:
    token = await here.token()
    second = Gateway(settings(), tmp_path / "second", lambda: here.bus)
    async with serving(second):
        there = Street(here.server, second, here.bus, here.http, here.described)
        await here.api("PATCH", "/1.0/config", token, json={"max_message_bytes": 2048})

        async def told() -> bool:
            return bool((await config(there, token))["max_message_bytes"] == 2048)

        await until(told)
    third = Gateway(settings(), tmp_path / "third", lambda: here.bus)
    async with serving(third):
        there = Street(here.server, third, here.bus, here.http, here.described)
        await until(told)


async def test_what_was_stored_last_holds_whichever_change_is_told_of_last(
    here: Street, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, slow_bus = await here.token(), Bus(here.bus.client)
    second = Gateway(settings(), tmp_path / "second", lambda: slow_bus)
    async with serving(second), asyncio.TaskGroup() as group:
        stored, told = asyncio.Event(), asyncio.Event()

        async def late(subject: str, message: BaseModel) -> None:
            stored.set()
            await told.wait()
            await here.bus.publish(subject, message)

        monkeypatch.setattr(slow_bus, "publish", late)
        change = SettingsPatch(max_message_bytes=2048)
        older = group.create_task(second._context.settings.change(change))
        await stored.wait()
        await here.api("PATCH", "/1.0/config", token, json={"max_message_bytes": 4096})
        told.set()
        assert (await older).max_message_bytes == 4096
        for bus in (here.bus, here.gateway._context.bus):
            await bus.client.flush()
        assert (await config(here, token))["max_message_bytes"] == 4096


async def test_an_account_has_a_rate_wherever_it_calls_from(tmp_path: Path) -> None:
    async with street(tmp_path, settings(limits={"requests_per_second": 5})) as here:
        token = await here.token("busy")
        statuses: list[int] = []
        while 429 not in statuses and len(statuses) < 200:
            statuses.append(await _from(here, f"127.0.0.{len(statuses) + 1}", token))
        assert statuses[:20] == [200] * 20
        assert statuses[-1] == 429
        assert await _from(here, "127.0.0.2", await here.token("calm")) == 200


async def _from(here: Street, address: str, token: str) -> int:
    connector = aiohttp.TCPConnector(local_addr=(address, 0), force_close=True)
    headers = {"Authorization": f"macaroon root={token}"}
    async with (
        aiohttp.ClientSession(connector=connector) as http,
        http.get(here.base + "/1.0/regions", headers=headers) as answer,
    ):
        return answer.status
