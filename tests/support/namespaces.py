"""A box, a router, a viewer: network namespaces, with `fanlight run` in one and Chromium in another."""

import contextlib
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import Page

from tests.support.box import Box, box, chromium, running, settings, visitor
from tests.support.clips import noise

BOX, GATE, ROUTER, VIEWER = IPV4 = "192.168.84.2", "192.168.84.1", "203.0.113.1", "203.0.113.2"
IPV6 = "fd84::2", "fd84::1", "fd13::1", "fd13::2"
FILM = """
[[application]]
name = "film"
kind = "file"
file = "%s"
size = "640x360"
fps = 15
autostart = true
"""


class Namespaces:
    """The box's, the viewer's, and a router between them that lets the box out."""

    def __init__(self, addresses: tuple[str, str, str, str] = IPV4) -> None:
        self.addresses = addresses
        """Of the box, of the router before it, of the router before the viewer, of the viewer."""
        tag = secrets.token_hex(3)
        self.box, self.router, self.viewer = f"fl{tag}a", f"fl{tag}r", f"fl{tag}b"

    def build(self) -> None:
        box, gate, router, viewer = self.addresses
        forward = "net.ipv6.conf.all.forwarding=1" if ":" in box else "net.ipv4.ip_forward=1"
        for name in (self.box, self.router, self.viewer):
            _run("ip", "netns", "add", name)
            _run("ip", "-n", name, "link", "set", "lo", "up")
        for end, near, address, link, far in (
            (self.box, "e0", box, "in", gate),
            (self.viewer, "e0", viewer, "out", router),
        ):
            _run("ip", "-n", end, "link", "add", near, "type", "veth", "peer", link, "netns", self.router)
            for name, interface, own in ((end, near, address), (self.router, link, far)):
                self._address(name, interface, own)
        _run("ip", "-n", self.box, "route", "add", "default", "via", gate)
        _run("ip", "netns", "exec", self.router, "sysctl", "-qw", forward)

    @staticmethod
    def _address(name: str, interface: str, own: str) -> None:
        bits, options = ("64", ("nodad",)) if ":" in own else ("24", ())
        _run("ip", "-n", name, "addr", "add", f"{own}/{bits}", "dev", interface, *options)
        _run("ip", "-n", name, "link", "set", interface, "up")

    def remove(self) -> None:
        for name in (self.box, self.router, self.viewer):
            subprocess.run(["ip", "netns", "delete", name], check=False, timeout=10, capture_output=True)

    def filter(self, namespace: str, rules: str) -> None:
        """Load nft rules."""
        _run("ip", "netns", "exec", namespace, "nft", "-f", "-", text=rules)

    def route_viewer(self) -> None:
        """Let the viewer reach the box at its own address."""
        _run("ip", "-n", self.viewer, "route", "add", "default", "via", self.addresses[2])

    def narrow(self, mtu: int) -> None:
        """The wire of the box takes packets of `mtu` bytes."""
        for name, interface in ((self.box, "e0"), (self.router, "in")):
            _run("ip", "-n", name, "link", "set", interface, "mtu", str(mtu))

    def counted(self, namespace: str, table: str, counter: str) -> int:
        """Packets of a counter."""
        said = _run("ip", "netns", "exec", namespace, "nft", "list", "counter", *table.split(), counter)
        return int(said.split("packets ")[1].split()[0])


def _run(*arguments: str, text: str | None = None) -> str:
    done = subprocess.run(arguments, input=text, capture_output=True, text=True, timeout=10)
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextlib.contextmanager
def namespaces(addresses: tuple[str, str, str, str] = IPV4) -> Iterator[Namespaces]:
    """Made now, gone in the end."""
    made = Namespaces(addresses)
    try:
        made.build()
        yield made
    finally:
        made.remove()


@contextlib.asynccontextmanager
async def page_of(
    namespaces: Namespaces, directory: Path, script: str = "", flags: str = ""
) -> AsyncIterator[Page]:
    """A page of a Chromium with `flags` in the viewer's namespace, where `script` runs first."""
    program = directory / "chromium"
    program.write_text(f'#!/bin/sh\nexec ip netns exec {namespaces.viewer} /usr/bin/chromium {flags} "$@"\n')
    program.chmod(0o755)
    async with chromium(program) as browser, visitor(browser) as context:
        if script:
            await context.add_init_script(script)
        yield await context.new_page()


def box_of(namespaces: Namespaces, directory: Path, **ice: Any) -> AbstractAsyncContextManager[Box]:
    """A box that streams a film of large frames from its namespace, with these settings of [ice]."""
    lines = "\n".join(f"{key} = {value!r}" for key, value in ice.items())
    prefix = ("ip", "netns", "exec", namespaces.box)
    configuration = settings(ice=lines) + FILM % noise(directory / "film.mkv")
    if ":" in namespaces.addresses[0]:
        configuration = configuration.replace('"0.0.0.0:', '"[::]:')
    return box(directory, configuration, prefix=prefix)


async def link_to(box: Box, address: str) -> str:
    """A share link into the box at `address`, once its picture is there."""
    await box.until("s['instances'] and s['instances'][0]['state'] == 'running'")
    link = urlsplit(str((await box.cli("share", "film"))["url"]))
    host = f"[{address}]" if ":" in address else address
    return link._replace(netloc=f"{host}:{link.port}").geturl()


async def plays(page: Page, box: Box, address: str) -> list[str]:
    """Wait until the picture of the box at `address` moves; the remote ends of pairs in use."""
    await page.goto(await link_to(box, address))
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


@contextlib.asynccontextmanager
async def crowd_of(namespaces: Namespaces, link: str, count: int) -> AsyncIterator[None]:
    """So many headless viewers in the viewer's namespace, connected."""
    watch = (sys.executable, "-m", "bench.watchers", link, "--count", str(count))
    async with running(["ip", "netns", "exec", namespaces.viewer, *watch]) as viewers:
        await viewers.line("watching", 60)
        yield
