"""Networks that are not what the fast path likes best: IPv6 alone, and a wire too narrow for segments."""

from pathlib import Path

import pytest

from tests.support.namespaces import BOX, IPV6, box_of, crowd_of, link_to, namespaces, page_of, plays

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

PORT = 40000
NARROW = 700  # bytes; less than our packets: the kernel refuses to segment, and makes fragments


async def test_a_network_of_ipv6_alone_carries_the_picture(tmp_path: Path) -> None:
    """To viewers of aiortc: Chromium finds no candidates of its own in such a namespace."""
    with namespaces(IPV6) as here:
        here.route_viewer()
        async with (
            box_of(here, tmp_path) as running,
            crowd_of(here, await link_to(running, IPV6[0]), 2),
        ):
            seen = "[v for v in s['instances'][0]['stats']['viewers'] if v['frames_sent'] > 30]"
            await running.until(f"len({seen}) == 2")
        assert "does not segment" not in (tmp_path / "log").read_text()


async def test_where_the_kernel_refuses_to_segment_packets_go_one_by_one(tmp_path: Path) -> None:
    with namespaces() as here:
        here.route_viewer()
        here.narrow(NARROW)
        async with box_of(here, tmp_path) as running, page_of(here, tmp_path) as page:
            assert await plays(page, running, BOX) == [f"{BOX}:{PORT}"]
        assert "does not segment" in (tmp_path / "log").read_text()
