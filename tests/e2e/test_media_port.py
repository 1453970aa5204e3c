"""The box behind a firewall and behind a router: network namespaces, nft, and Chromium on the other side."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from playwright.async_api import Page

from tests.support.namespaces import (
    BOX,
    ROUTER,
    Namespaces,
    box_of,
    crowd_of,
    link_to,
    namespaces,
    page_of,
    plays,
)

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

PORT = 40000

FIREWALL = f"""
table inet firewall {{
  counter through {{ }}
  counter dropped {{ }}
  chain input {{
    type filter hook input priority 0
    iif lo accept
    udp dport {PORT} counter name through accept
    meta l4proto udp counter name dropped drop
  }}
  chain output {{
    type filter hook output priority 0
    oif lo accept
    udp sport {PORT} accept
    meta l4proto udp counter name dropped drop
  }}
}}
"""

FORWARD = f"""
table ip nat {{
  counter through {{ }}
  chain prerouting {{
    type nat hook prerouting priority -100
    iif out ip daddr {ROUTER} udp dport {PORT} counter name through dnat to {BOX}
    iif out ip daddr {ROUTER} meta l4proto tcp dnat to {BOX}
  }}
  chain postrouting {{
    type nat hook postrouting priority 100
    oif out masquerade
  }}
}}
"""


@pytest.fixture
def here() -> Iterator[Namespaces]:
    with namespaces() as made:
        yield made


@pytest.fixture
async def page(here: Namespaces, tmp_path: Path) -> AsyncIterator[Page]:
    async with page_of(here, tmp_path) as page:
        yield page


async def test_a_firewall_that_opens_one_port_lets_the_picture_through(
    here: Namespaces, page: Page, tmp_path: Path
) -> None:
    here.route_viewer()
    here.filter(here.box, FIREWALL)
    async with box_of(here, tmp_path) as running:
        assert await plays(page, running, BOX) == [f"{BOX}:{PORT}"]
        (instance,) = (await running.until("s['instances'][0]['stats']['viewers']"))["instances"]
    assert instance["stats"]["udp_port"] == PORT
    assert here.counted(here.box, "inet firewall", "through") > 0


async def test_a_router_that_forwards_the_port_lets_the_picture_through(
    here: Namespaces, page: Page, tmp_path: Path
) -> None:
    here.filter(here.router, FORWARD)
    async with box_of(here, tmp_path, external_address=ROUTER) as running:
        assert await plays(page, running, ROUTER) == [f"{ROUTER}:{PORT}"]
    assert here.counted(here.router, "ip nat", "through") > 0


async def test_two_dozen_viewers_share_the_port_behind_a_firewall(here: Namespaces, tmp_path: Path) -> None:
    here.route_viewer()
    here.filter(here.box, FIREWALL)
    async with box_of(here, tmp_path) as running, crowd_of(here, await link_to(running, BOX), 24):
        seen = "[v for v in s['instances'][0]['stats']['viewers'] if v['frames_sent'] > 30]"
        stats = (await running.until(f"len({seen}) == 24"))["instances"][0]["stats"]
    assert stats["udp_port"] == PORT
    assert {(viewer["state"], viewer["pair"]) for viewer in stats["viewers"]} <= {
        ("connected", "host"), ("connected", "prflx")
    }  # fmt: skip
    # Some were encoded before anybody came.
    assert stats["frames_encoded"] < 12 * max(viewer["frames_sent"] for viewer in stats["viewers"])
