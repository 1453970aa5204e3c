"""Who has a session, who comes after them, and when it ends."""

import asyncio
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page

from tests.e2e.anbox.clients import Client, Crowd, Gateway
from tests.support.box import visitor

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="session")]


@pytest_asyncio.fixture(loop_scope="session")
async def guest(crowd: Crowd, gateway: Gateway, pattern: str) -> Any:
    """Our own page, opened by a share link, playing the session `pattern`."""
    link = (await gateway.box.cli("share", pattern, "--role", "view"))["url"]
    async with visitor(crowd.browser) as context:
        page = await context.new_page()
        await page.goto(link)
        await page.wait_for_function("() => __probe.firstFrame > 0", timeout=40_000)
        yield page


async def more_frames(page: Page, count: int = 10) -> None:
    """Wait until our own page has presented so many more frames."""
    seen = await page.evaluate("__probe.frames.length + __probe.bad")
    await page.wait_for_function(
        f"() => __probe.frames.length + __probe.bad >= {seen + count}", timeout=20_000
    )


async def ends(client: Client) -> float:
    """Milliseconds, on the client's clock, at which it found itself disconnected by the server."""
    report = await client.until("r.over")
    assert report["error"] == {"code": 14, "message": "disconnected by the server"}
    return float(dict(await client.log())["stop"])


async def test_a_second_client_takes_over_while_page_viewers_stay(
    crowd: Crowd, pattern: str, guest: Page
) -> None:
    first = await crowd.play(pattern)
    second = await crowd.client()
    before = await first.page.evaluate("performance.now() - stream.began")
    await second.play(pattern)
    after = await first.page.evaluate("performance.now() - stream.began")
    at = await ends(first)
    print(
        f"taken over {at - before:.0f} ms after the second client began, which played {after - at:.0f} ms on"
    )
    assert at < after, "both had the session"
    await second.more_frames()
    await more_frames(guest)


async def test_a_client_that_leaves_frees_its_place_at_once(
    crowd: Crowd, gateway: Gateway, pattern: str
) -> None:
    client = await crowd.play(pattern)

    async def alone() -> bool:
        return len(await gateway.viewers(pattern)) == 1

    await gateway.eventually(alone)  # those of other tests have left
    await client.page.evaluate("stream.send('stream::disconnect', {})")
    began = await client.page.evaluate("performance.now() - stream.began")
    assert await ends(client) - began < 5000
    await gateway.left_alone(pattern)
    assert (await gateway.get(f"/1.0/sessions/{pattern}"))["status"] == "active"
    await crowd.play(pattern)


async def test_an_ephemeral_session_ends_when_its_client_leaves(crowd: Crowd, gateway: Gateway) -> None:
    client = await crowd.play({"app": "test-pattern"})
    session = await client.session()
    await client.page.evaluate("stream.disconnect()")
    found = await gateway.until(session, "terminated", 5)
    assert found["status_message"]
    status, answer = await gateway.api("POST", f"/1.0/sessions/{session}/join", {})
    assert (status, answer["type"], answer["status"]) == (400, "error", "failed")


async def test_an_ephemeral_session_ends_when_its_client_is_gone_without_a_word(
    crowd: Crowd, gateway: Gateway
) -> None:
    client = await crowd.play({"app": "test-pattern"})
    session = await client.session()
    await client.page.evaluate("stream.pc.close()")
    await gateway.until(session, "terminated", 30)


async def test_a_joinable_session_waits_for_the_next_client(crowd: Crowd, gateway: Gateway) -> None:
    client = await crowd.play({"app": "test-pattern", "joinable": True, "idleTimeMin": 1})
    session = await client.session()
    await client.page.evaluate("stream.disconnect()")
    await gateway.left_alone(session)
    found = await gateway.get(f"/1.0/sessions/{session}")
    assert (found["status"], found["joinable"]) == ("active", True)
    await crowd.play(session)
    await gateway.api("DELETE", f"/1.0/sessions/{session}")


async def test_an_idle_session_ends_after_its_minutes(idle: asyncio.Task[Any]) -> None:
    assert (await idle)["status_message"] == "nobody was watching"


async def test_deleting_a_session_ends_its_client_and_its_instance(crowd: Crowd, gateway: Gateway) -> None:
    client = await crowd.play({"app": "test-pattern", "joinable": True, "idleTimeMin": 5})
    session = await client.session()
    status, answer = await gateway.api("DELETE", f"/1.0/sessions/{session}")
    assert (status, answer["status"]) == (200, "success")
    assert (await ends(client)) > 0
    await gateway.until(session, "terminated")
    await gateway.box.until(f"all(i['session'] != {session!r} for i in s['instances'])")
    assert (await gateway.api("POST", f"/1.0/sessions/{session}/join", {}))[0] == 400


async def test_several_sessions_are_deleted_at_once(gateway: Gateway) -> None:
    made = [await gateway.session() for _ in range(2)]
    status, answer = await gateway.api("DELETE", "/1.0/sessions?sync=true", {"ids": made})
    assert status == 200
    assert set(answer["metadata"]["deleted_sessions"]) == set(made)
    status, answer = await gateway.api("DELETE", "/1.0/sessions?sync=true", {"ids": [made[0], "nosuch"]})
    assert status == 207
    assert [(each["session_id"], each["status_code"]) for each in answer["metadata"]["errors"]] == [
        ("nosuch", 404)
    ]


@pytest.mark.parametrize("application", ["test-pattern", "command"])
async def test_a_join_with_another_screen_resizes_what_can_be_resized(
    crowd: Crowd, gateway: Gateway, application: str
) -> None:
    session = await gateway.session(application)
    first = await crowd.play(session)
    before = await first.report()
    second = await crowd.play({"id": session, "screen": {"width": 721, "height": 1280}})
    await second.until("r.width === 722 && r.height === 1280")
    third = await crowd.play(
        {"id": session, "screen": {"width": before["width"], "height": before["height"]}}
    )
    await third.until(f"r.width === {before['width']} && r.height === {before['height']}")
    await gateway.api("DELETE", f"/1.0/sessions/{session}")
