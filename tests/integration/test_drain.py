"""A box that is drained: told, counted down, sent away, written down; and taken back into service."""

import asyncio
import itertools
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.box import Box, box, settings
from tests.support.viewer import viewer

pytestmark = pytest.mark.integration

PATTERN = """
[[application]]
name = "pattern"
kind = "test-pattern"
size = "320x240"
fps = 10
autostart = true
"""


async def ready(running: Box) -> int:
    """Status of /readyz."""
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False)) as http,
        http.get(f"{running.url}readyz") as answer,
    ):
        return answer.status


async def link(running: Box) -> str:
    return str((await running.cli("share", "pattern"))["url"])


async def test_nobody_comes_in_who_is_there_is_told_and_sent_away_in_the_end(tmp_path: Path) -> None:
    notices: asyncio.Queue[str] = asyncio.Queue()
    sections = {"gateway": 'listen = "127.0.0.1:0"', "tls": 'mode = "off"', "log": 'format = "json"'}
    configuration = settings(**sections) + PATTERN
    async with box(tmp_path, configuration) as running, asyncio.TaskGroup() as group:
        await running.until("s['instances'] and s['instances'][0]['state'] == 'running'")
        assert await ready(running) == 200
        async with viewer(await link(running), noticed=notices.put_nowait):
            await running.until("s['instances'][0]['stats']['viewers'][0]['state'] == 'connected'")
            draining = group.create_task(running.cli("drain", "--timeout", "2s"))
            async with asyncio.timeout(10):
                assert "maintenance" in await notices.get()
            snapshot = await running.snapshot()
            assert snapshot["box"]["draining"]
            assert [each["fix"] for each in snapshot["problems"]] == ["fanlight drain --off"]
            assert await ready(running) == 503
            with pytest.raises(AssertionError, match="503"):
                async with viewer(await link(running)):
                    pass
            with pytest.raises(AssertionError, match="being drained"):
                await running.cli("launch", "pattern")
            assert await draining == {"draining": True}
        assert await running.cli("drain", "--off") == {"draining": False}
        assert await ready(running) == 200
        async with viewer(await link(running)), asyncio.timeout(10):
            while (trail := await running.cli("audit"))[-1]["event"] != "join":
                pass
    check_trail(trail)
    check_log((tmp_path / "log").read_text(), trail[0]["session"])


def check_log(text: str, session: str) -> None:
    """JSON, and the lines of all processes say which session they are about."""
    lines = [json.loads(line) for line in text.splitlines()]
    connected = [each for each in lines if "connected as view" in each["text"]]
    assert connected
    assert all(each["session"] == session and each["instance"] for each in connected)


def check_trail(trail: list[dict[str, Any]]) -> None:
    """What happened, without a token in it."""
    events = [each["event"] for each in trail]
    # Whoever is still there a second after the kick is kicked again.
    assert [each for each, _ in itertools.groupby(each for each in events if each != "share")] == [
        "start", "join", "drain", "kick", "leave", "drain", "join"
    ]  # fmt: skip
    joined = trail[events.index("join")]
    assert (joined["application"], joined["role"], joined["address"]) == ("pattern", "view", "127.0.0.1")
    assert joined["session"] == trail[0]["session"]
    shared = trail[events.index("share")]
    assert (shared["by"], shared["detail"].split()[0]) == ("uid 0", "instance=pattern")
    assert "share=" not in str(trail)
