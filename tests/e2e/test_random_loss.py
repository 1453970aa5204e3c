"""A viewer behind a long link that loses packets at random, in a browser as it is."""

from pathlib import Path

import pytest

from bench.link import Shape, link
from bench.systems import Job, fanlight
from bench.viewing import drawn, figures, opened, shows, watch
from tests.support.box import counter, x_server

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

RTT_MS = 200
REPAIRED = """async () => {
  const stats = await __probe.peers.at(-1).getStats();
  return [...stats.values()].some((each) => each.fecPacketsReceived > 100);
}"""


async def test_lost_packets_are_repaired_without_asking(tmp_path: Path) -> None:
    log = tmp_path / "drawn"
    async with (
        x_server() as display,
        counter(display, log=log, fps="30", mode="noise"),
        link(Shape(20_000, rtt_ms=RTT_MS, loss=0.05)) as wire,
        fanlight(Job(display, kbps=3000, role="control"), tmp_path, wire.box) as (url, _),
        opened(url, prefix=wire.viewer, scratch=tmp_path) as page,
    ):
        assert await shows(page)
        await page.wait_for_function(REPAIRED, timeout=60_000)
        frames, browser = await watch(page, 8)
    seen = figures(frames, drawn(log))
    print(seen, browser)
    assert browser["repair"] > 8 * 30
    # What is asked for is there one and a half round trips after it was sent, and holds up what follows.
    assert seen["p50_ms"] < RTT_MS
