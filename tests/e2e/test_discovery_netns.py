"""Two machines on one wire: network namespaces, real multicast, nothing of this machine's own network."""

import asyncio
import json
import os
import queue
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.box import box, settings

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
PEER = str(ROOT / "tests" / "support" / "mdns_peer.py")
FIND_SECONDS = 10


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, timeout=10)


class Peer:
    """A python process in a namespace; the lines of its standard output are JSON."""

    def __init__(self, namespace: str, *arguments: str) -> None:
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", namespace, sys.executable, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self._lines.put(line)

    def until(self, good: Callable[[Any], bool]) -> Any:
        """The first thing it says that is `good`."""
        deadline = time.monotonic() + FIND_SECONDS
        said: list[Any] = []
        while (left := deadline - time.monotonic()) > 0:
            try:
                said.append(json.loads(self._lines.get(timeout=left)))
            except queue.Empty:
                break
            if good(said[-1]):
                return said[-1]
        pytest.fail(f"not said within {FIND_SECONDS} s; it said {said}")

    def tell(self, line: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def stop(self) -> int:
        """Ask it to end; its exit code."""
        self.process.terminate()
        code = self.process.wait(timeout=10)
        self._reader.join()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe
            pipe.close()
        return code


@pytest.fixture
def wire() -> Iterator[tuple[str, str]]:
    """Names of two namespaces with 10.83.0.1 and 10.83.0.2, joined by a veth pair."""
    tag = secrets.token_hex(3)
    names = (f"fl{tag}a", f"fl{tag}b")
    try:
        for name in names:
            ip("netns", "add", name)
        ip("-n", names[0], "link", "add", "e0", "type", "veth", "peer", "name", "e0", "netns", names[1])
        for number, name in enumerate(names, 1):
            ip("-n", name, "link", "set", "lo", "up")
            ip("-n", name, "addr", "add", f"10.83.0.{number}/24", "dev", "e0")
            ip("-n", name, "link", "set", "e0", "up")
        yield names
    finally:
        for name in names:
            subprocess.run(
                ["ip", "netns", "delete", name], check=False, timeout=10, stderr=subprocess.DEVNULL
            )


@pytest.fixture
def start() -> Iterator[Callable[..., Peer]]:
    """Starts peers, and ends those that are left."""
    peers: list[Peer] = []

    def begin(namespace: str, *arguments: str) -> Peer:
        peers.append(Peer(namespace, *arguments))
        return peers[-1]

    yield begin
    for peer in peers:
        if peer.process.poll() is None:
            peer.stop()


def names(boxes: list[dict[str, Any]]) -> list[str]:
    return [box["name"] for box in boxes]


def test_a_box_is_found_followed_and_lost(wire: tuple[str, str], start: Callable[..., Peer]) -> None:
    here, there = wire
    box = start(here, PEER, "advertise", "Küche", "8443")
    assert box.until(lambda said: "serving" in said) == {"serving": "Küche", "problem": ""}
    watcher = start(there, PEER, "watch")

    (found,) = watcher.until(lambda boxes: names(boxes) == ["Küche"])
    assert found["url"] == "https://10.83.0.1:8443/"
    assert found["addresses"] == ["10.83.0.1"]
    assert (found["id"], found["txt"]["state"]) == ("b0b0", "idle")

    box.tell("state live")
    watcher.until(lambda boxes: boxes and boxes[0]["txt"]["state"] == "live")

    ip("-n", here, "addr", "add", "10.83.0.7/24", "dev", "e0")
    watcher.until(lambda boxes: boxes and "10.83.0.7" in boxes[0]["addresses"])

    assert box.stop() == 0
    # Far below the 75 min that the record would live without a goodbye.
    watcher.until(lambda boxes: boxes == [])


def test_a_second_box_of_the_same_name_is_renamed(wire: tuple[str, str], start: Callable[..., Peer]) -> None:
    here, there = wire
    first = start(here, PEER, "advertise", "desk", "8443")
    assert first.until(lambda said: "serving" in said)["serving"] == "desk"
    second = start(there, PEER, "advertise", "desk", "8444")
    assert second.until(lambda said: "serving" in said)["serving"] == "desk-2"


def test_a_machine_without_a_network_says_so_and_appears_with_it(
    wire: tuple[str, str], start: Callable[..., Peer]
) -> None:
    here, there = wire
    ip("-n", here, "link", "set", "lo", "down")
    ip("-n", here, "addr", "flush", "dev", "e0")
    ip("-n", here, "link", "set", "e0", "down")
    box = start(here, PEER, "advertise", "late", "8443")
    box.until(lambda said: "serving" in said)
    watcher = start(there, PEER, "watch")

    ip("-n", here, "addr", "add", "10.83.0.1/24", "dev", "e0")
    ip("-n", here, "link", "set", "e0", "up")
    (found,) = watcher.until(lambda boxes: names(boxes) == ["late"])
    assert found["addresses"] == ["10.83.0.1"]


def test_discover_lists_what_answers(wire: tuple[str, str], start: Callable[..., Peer]) -> None:
    here, there = wire
    box = start(here, PEER, "advertise", "desk", "8443")
    box.until(lambda said: "serving" in said)
    command = [sys.executable, "-m", "appliance", "discover", "--timeout", "3", "--json"]
    listed = subprocess.run(
        ["ip", "netns", "exec", there, *command],
        capture_output=True,
        text=True,
        timeout=20,
        cwd=ROOT,
        check=True,
    )
    assert names(json.loads(listed.stdout)) == ["desk"]


async def test_the_daemon_itself_is_discovered_and_lost_on_stop(
    wire: tuple[str, str], tmp_path: Path
) -> None:
    here, there = wire
    namespace = ("ip", "netns", "exec", here)
    configuration = settings(discovery="enabled = true") + PATTERN
    async with box(tmp_path, configuration, prefix=namespace) as running_box:
        found = await discover(there)
        assert [each["name"] for each in found] == ["test-box"]
        assert found[0]["url"] == running_box.url
        assert found[0]["txt"]["enc"] == "x264"
        snapshot = await running_box.snapshot()
        assert found[0]["txt"]["fp"] == snapshot["box"]["fingerprint"]
    assert await discover(there) == []


PATTERN = '[[application]]\nname = "pattern"\nkind = "test-pattern"\n'


async def discover(namespace: str) -> list[dict[str, Any]]:
    command = ("ip", "netns", "exec", namespace, sys.executable, "-m", "appliance", "discover")
    process = await asyncio.create_subprocess_exec(
        *command, "--timeout", "4", "--json", cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    return list(json.loads(out))
