"""Many viewers of one instance in the Kinesis dialect cost one encoder."""

import contextlib
from pathlib import Path

import aiohttp
import pytest
from playwright.async_api import Browser

from bench.kinesis_watchers import kinesis_watchers
from tests.e2e.kinesis.clients import Doors, authority, in_page, plays
from tests.e2e.kinesis.conftest import APPLICATION
from tests.support.box import Box, box, settings
from tests.support.kvs import presigned, refusal

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="module")]

VIEWERS = 25
FPS = 15


async def test_twenty_five_viewers_share_one_encoder_and_the_next_is_refused(
    tmp_path: Path, browser: Browser, origin: str
) -> None:
    limit = f"viewers_per_channel = {VIEWERS}"
    async with (
        box(tmp_path, settings(kinesis=limit) + APPLICATION) as running,
        contextlib.AsyncExitStack() as stack,
    ):
        await running.until("s['instances'] and s['instances'][0]['state'] == 'running'")
        ca = await authority(running, tmp_path / "ca.pem")
        key = await running.cli("key", "create", "sdk")
        channel = await Doors([running.url], ca, key).channel("pattern", "VIEWER")
        signing = {"aws_access_key_id": channel["id"], "aws_secret_access_key": channel["secret"]}
        urls = [
            presigned(signing, channel["endpoints"][0], channel["arn"], f"v{number}")
            for number in range(VIEWERS)
        ]
        await stack.enter_async_context(kinesis_watchers(urls[1:]))
        page = await stack.enter_async_context(in_page(browser, origin))
        await page.call("view", channel, "v0")
        await plays(page, "v0")
        before = await _counted(running, VIEWERS)
        await plays(page, "v0")
        after = await _counted(running, VIEWERS, age_s=before[1] + 3)
        encoded, elapsed = after[0] - before[0], after[1] - before[1]
        assert encoded <= FPS * (elapsed + 1)
        for viewer, sent in after[2].items():
            assert 0 < sent - before[2][viewer] <= encoded + FPS  # each is counted a little earlier
        other = presigned(signing, channel["endpoints"][0], channel["arn"], "one-more")
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False)) as http:
            assert (await refusal(http, other))[:2] == (400, "ClientLimitExceededException")


async def _counted(running: Box, viewers: int, age_s: float = 0) -> tuple[int, float, dict[str, int]]:
    """Frames encoded, the age of the eldest viewer in s, and frames sent to each, all of one moment."""
    there = "s['instances'][0]['stats']['viewers']"
    found = await running.until(
        f"sum(v['state'] == 'connected' for v in {there}) == {viewers}"
        f" and max(v['age_s'] for v in {there}) >= {age_s}"
    )
    stats = found["instances"][0]["stats"]
    sent = {each["id"]: each["frames_sent"] for each in stats["viewers"]}
    return stats["frames_encoded"], max(each["age_s"] for each in stats["viewers"]), sent
