"""A box and viewers in network namespaces of their own, each viewer behind a link as narrow as wanted."""

import contextlib
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

_QUEUE = ("burst", "4kb", "latency", "300ms")


class NarrowLinks:
    """`box` is the name of the box's namespace; viewers are counted from 0."""

    def __init__(self, viewers: int) -> None:
        tag = secrets.token_hex(3)
        self.box = f"fl{tag}box"
        self._viewers = [f"fl{tag}v{number}" for number in range(viewers)]

    def address(self, viewer: int) -> str:
        """The box's, on the link to this viewer."""
        return f"192.168.{90 + viewer}.1"

    def beside(self, viewer: int) -> tuple[str, tuple[str, ...]]:
        """An address at the viewer's end of its link, and how to run something there."""
        return f"192.168.{90 + viewer}.2", ("ip", "netns", "exec", self._viewers[viewer])

    def admit(self, viewer: int, port: int) -> None:
        """From now on no UDP of the box's passes the link to this viewer but to this port."""
        rules = (
            "table inet wall { chain input { type filter hook input priority 0; "
            f"ip saddr {self.address(viewer)} meta l4proto udp udp dport != {port} drop; }}; }}"
        )
        _run("ip", "netns", "exec", self._viewers[viewer], "nft", rules)

    def browser(self, viewer: int, directory: Path) -> Path:
        """A Chromium that runs where the viewer is."""
        script = directory / f"chromium-{viewer}"
        script.write_text(f'#!/bin/sh\nexec ip netns exec {self._viewers[viewer]} /usr/bin/chromium "$@"\n')
        script.chmod(0o755)
        return script

    def narrow(self, viewer: int, kbps: int) -> None:
        """From now on the way to this viewer carries so much, and queues 300 ms."""
        rate = ("root", "tbf", "rate", f"{kbps}kbit", *_QUEUE)
        _run("ip", "netns", "exec", self.box, "tc", "qdisc", "replace", "dev", f"to{viewer}", *rate)

    def build(self) -> None:
        """Make the namespaces and the links."""
        for name in (self.box, *self._viewers):
            _run("ip", "netns", "add", name)
            _run("ip", "-n", name, "link", "set", "lo", "up")
        for number, name in enumerate(self._viewers):
            near = f"to{number}"
            _run("ip", "-n", self.box, "link", "add", near, "type", "veth", "peer", "e0", "netns", name)
            for space, interface, host in ((self.box, near, 1), (name, "e0", 2)):
                _run("ip", "-n", space, "addr", "add", f"192.168.{90 + number}.{host}/24", "dev", interface)
                _run("ip", "-n", space, "link", "set", interface, "up")
            _run("ip", "-n", name, "route", "add", "default", "dev", "e0")

    def remove(self) -> None:
        """Whatever there is of them."""
        for name in (self.box, *self._viewers):
            subprocess.run(["ip", "netns", "delete", name], check=False, timeout=10, capture_output=True)


@contextlib.contextmanager
def narrow_links(viewers: int) -> Iterator[NarrowLinks]:
    """Namespaces for the time of a test."""
    links = NarrowLinks(viewers)
    try:
        links.build()
        yield links
    finally:
        links.remove()


def _run(*arguments: str) -> None:
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=10)
    assert done.returncode == 0, done.stderr
