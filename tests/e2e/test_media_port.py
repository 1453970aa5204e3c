"""The box behind a firewall and behind a router: network namespaces, nft, and Chromium on the other side."""

import secrets
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page

from tests.support.box import Box, box, chromium, settings, visitor

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

PORT = 40000
BOX, VIEWER, OUTSIDE = "10.84.0.1", "10.84.0.2", "203.0.113.9"
PATTERN = (
    '[[application]]\nname = "pattern"\nkind = "test-pattern"\nsize = "640x360"\nfps = 15\nautostart = true\n'
)

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

ROUTER = f"""
table ip router {{
  counter through {{ }}
  chain prerouting {{
    type nat hook prerouting priority -100
    ip daddr {OUTSIDE} udp dport {PORT} counter name through dnat to {BOX}
  }}
}}
"""

OUTER = f"""
table ip outer {{
  chain output {{
    type filter hook output priority 0
    meta l4proto udp ip daddr {BOX} drop
  }}
}}
"""


class Namespaces:
    """The box's and the viewer's, joined by a wire."""

    def __init__(self) -> None:
        tag = secrets.token_hex(3)
        self.box, self.viewer = f"fl{tag}a", f"fl{tag}b"

    def build(self) -> None:
        for name in (self.box, self.viewer):
            _run("ip", "netns", "add", name)
        _run("ip", "-n", self.box, "link", "add", "e0", "type", "veth", "peer", "e0", "netns", self.viewer)
        for name, address in ((self.box, BOX), (self.viewer, VIEWER)):
            _run("ip", "-n", name, "link", "set", "lo", "up")
            _run("ip", "-n", name, "addr", "add", f"{address}/24", "dev", "e0")
            _run("ip", "-n", name, "link", "set", "e0", "up")
        _run("ip", "-n", self.viewer, "route", "add", OUTSIDE, "via", BOX)

    def remove(self) -> None:
        for name in (self.box, self.viewer):
            subprocess.run(["ip", "netns", "delete", name], check=False, timeout=10, capture_output=True)

    def filter(self, namespace: str, rules: str) -> None:
        """Load nft rules."""
        _run("ip", "netns", "exec", namespace, "nft", "-f", "-", text=rules)

    def counted(self, table: str, counter: str) -> int:
        """Packets of a counter of the box."""
        said = _run("ip", "netns", "exec", self.box, "nft", "list", "counter", *table.split(), counter)
        return int(said.split("packets ")[1].split()[0])


def _run(*arguments: str, text: str | None = None) -> str:
    done = subprocess.run(arguments, input=text, capture_output=True, text=True, timeout=10)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def namespaces() -> Iterator[Namespaces]:
    made = Namespaces()
    try:
        made.build()
        yield made
    finally:
        made.remove()


@pytest.fixture
async def page(namespaces: Namespaces, tmp_path: Path) -> AsyncIterator[Page]:
    """Of a Chromium in the viewer's namespace."""
    script = tmp_path / "chromium"
    script.write_text(f'#!/bin/sh\nexec ip netns exec {namespaces.viewer} /usr/bin/chromium "$@"\n')
    script.chmod(0o755)
    async with chromium(script) as browser, visitor(browser) as context:
        yield await context.new_page()


def box_of(namespaces: Namespaces, directory: Path, **ice: Any) -> Any:
    lines = "\n".join(f"{key} = {value!r}" for key, value in ice.items())
    prefix = ("ip", "netns", "exec", namespaces.box)
    return box(directory, settings(ice=lines) + PATTERN, prefix=prefix)


async def plays(page: Page, running: Box) -> list[str]:
    """Wait until the picture moves; returns the remote addresses of all pairs that carry something."""
    await running.until("s['instances'] and s['instances'][0]['state'] == 'running'")
    link = str((await running.cli("share", "pattern"))["url"])
    host, fragment = link.split("#")
    port = host.rstrip("/").rpartition(":")[2].split("/")[0]
    await page.goto(f"https://{BOX}:{port}/#{fragment}")
    await page.wait_for_function("() => __probe.frames.length + __probe.bad > 20", timeout=30_000)
    return list(
        await page.evaluate(
            "(async () => { const found = []; for (const peer of __probe.peers) {"
            " const stats = await peer.getStats();"
            " for (const pair of stats.values()) if (pair.type === 'candidate-pair' && pair.bytesReceived)"
            "  { const remote = stats.get(pair.remoteCandidateId);"
            "    found.push(`${remote.address}:${remote.port}`) } } return found })()"
        )
    )


async def test_a_firewall_that_opens_one_port_lets_the_picture_through(
    namespaces: Namespaces, page: Page, tmp_path: Path
) -> None:
    namespaces.filter(namespaces.box, FIREWALL)
    async with box_of(namespaces, tmp_path) as running:
        assert await plays(page, running) == [f"{BOX}:{PORT}"]
        (instance,) = (await running.until("s['instances'][0]['stats']['viewers']"))["instances"]
    assert instance["stats"]["udp_port"] == PORT
    assert namespaces.counted("inet firewall", "through") > 0


async def test_a_router_that_forwards_the_port_lets_the_picture_through(
    namespaces: Namespaces, page: Page, tmp_path: Path
) -> None:
    namespaces.filter(namespaces.box, ROUTER)
    namespaces.filter(namespaces.viewer, OUTER)
    async with box_of(namespaces, tmp_path, external_address=OUTSIDE) as running:
        assert await plays(page, running) == [f"{OUTSIDE}:{PORT}"]
    assert namespaces.counted("ip router", "through") > 0
