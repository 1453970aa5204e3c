"""A box, a router, a viewer: network namespaces, with `fanlight run` in one and Chromium in another."""

import contextlib
import secrets
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from playwright.async_api import Page

from tests.support.box import Box, box, chromium, settings, visitor

BOX, GATE, ROUTER, VIEWER = "192.168.84.2", "192.168.84.1", "203.0.113.1", "203.0.113.2"
PATTERN = (
    '[[application]]\nname = "pattern"\nkind = "test-pattern"\nsize = "640x360"\nfps = 15\nautostart = true\n'
)


class Namespaces:
    """The box's, the viewer's, and a router between them that lets the box out."""

    def __init__(self) -> None:
        tag = secrets.token_hex(3)
        self.box, self.router, self.viewer = f"fl{tag}a", f"fl{tag}r", f"fl{tag}b"

    def build(self) -> None:
        for name in (self.box, self.router, self.viewer):
            _run("ip", "netns", "add", name)
            _run("ip", "-n", name, "link", "set", "lo", "up")
        for end, near, address, link, far in (
            (self.box, "e0", BOX, "in", GATE),
            (self.viewer, "e0", VIEWER, "out", ROUTER),
        ):
            _run("ip", "-n", end, "link", "add", near, "type", "veth", "peer", link, "netns", self.router)
            for name, interface, own in ((end, near, address), (self.router, link, far)):
                _run("ip", "-n", name, "addr", "add", f"{own}/24", "dev", interface)
                _run("ip", "-n", name, "link", "set", interface, "up")
        _run("ip", "-n", self.box, "route", "add", "default", "via", GATE)
        _run("ip", "netns", "exec", self.router, "sysctl", "-qw", "net.ipv4.ip_forward=1")

    def remove(self) -> None:
        for name in (self.box, self.router, self.viewer):
            subprocess.run(["ip", "netns", "delete", name], check=False, timeout=10, capture_output=True)

    def filter(self, namespace: str, rules: str) -> None:
        """Load nft rules."""
        _run("ip", "netns", "exec", namespace, "nft", "-f", "-", text=rules)

    def route_viewer(self) -> None:
        """Let the viewer reach the box at its own address."""
        _run("ip", "-n", self.viewer, "route", "add", "default", "via", ROUTER)

    def counted(self, namespace: str, table: str, counter: str) -> int:
        """Packets of a counter."""
        said = _run("ip", "netns", "exec", namespace, "nft", "list", "counter", *table.split(), counter)
        return int(said.split("packets ")[1].split()[0])


def _run(*arguments: str, text: str | None = None) -> str:
    done = subprocess.run(arguments, input=text, capture_output=True, text=True, timeout=10)
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextlib.contextmanager
def namespaces() -> Iterator[Namespaces]:
    """Made now, gone in the end."""
    made = Namespaces()
    try:
        made.build()
        yield made
    finally:
        made.remove()


@contextlib.asynccontextmanager
async def page_of(namespaces: Namespaces, directory: Path, script: str = "") -> AsyncIterator[Page]:
    """A page of a Chromium in the viewer's namespace, where `script` runs first."""
    program = directory / "chromium"
    program.write_text(f'#!/bin/sh\nexec ip netns exec {namespaces.viewer} /usr/bin/chromium "$@"\n')
    program.chmod(0o755)
    async with chromium(program) as browser, visitor(browser) as context:
        if script:
            await context.add_init_script(script)
        yield await context.new_page()


def box_of(namespaces: Namespaces, directory: Path, **ice: Any) -> Any:
    lines = "\n".join(f"{key} = {value!r}" for key, value in ice.items())
    prefix = ("ip", "netns", "exec", namespaces.box)
    return box(directory, settings(ice=lines) + PATTERN, prefix=prefix)


async def plays(page: Page, running: Box, address: str) -> list[str]:
    """Wait until the picture of the box at `address` moves; the remote ends of pairs in use."""
    await running.until("s['instances'] and s['instances'][0]['state'] == 'running'")
    link = str((await running.cli("share", "pattern"))["url"])
    host, fragment = link.split("#")
    port = host.rstrip("/").rpartition(":")[2].split("/")[0]
    await page.goto(f"https://{address}:{port}/#{fragment}")
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
