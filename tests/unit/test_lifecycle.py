"""Services start in order, stop in reverse, and one that dies takes the others with it."""

import asyncio
import socket
from pathlib import Path

import pytest

from appliance import lifecycle

pytestmark = pytest.mark.unit


class Part:
    """A service that writes down what happens to it."""

    def __init__(self, name: str, story: list[str]) -> None:
        self.name = name
        self.story = story
        self.starting = asyncio.Event()
        self.broken = asyncio.Event()

    async def serve(self, started: asyncio.Event) -> None:
        self.story.append(f"{self.name} starts")
        self.starting.set()
        started.set()
        try:
            await self.broken.wait()
            raise OSError(f"{self.name} broke")
        finally:
            self.story.append(f"{self.name} ends")


class Slow(Part):
    """A service that never becomes usable."""

    async def serve(self, started: asyncio.Event) -> None:
        self.starting.set()
        await asyncio.Event().wait()


class Brief:
    """A service that returns, which none may."""

    def __init__(self, *, starts: bool) -> None:
        self._starts = starts

    async def serve(self, started: asyncio.Event) -> None:
        if self._starts:
            started.set()


async def test_services_start_in_order_and_stop_in_reverse() -> None:
    story: list[str] = []
    stop = asyncio.Event()
    gateway = Part("gateway", story)
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        group.create_task(lifecycle.run([Part("bus", story), gateway], stop=stop))
        await gateway.starting.wait()
        stop.set()
    assert story == ["bus starts", "gateway starts", "gateway ends", "bus ends"]


async def test_a_service_that_fails_ends_the_others_and_its_reason_leaves() -> None:
    story: list[str] = []
    bus, gateway = Part("bus", story), Part("gateway", story)
    bus.broken.set()
    with pytest.raises(ExceptionGroup) as raised:
        await lifecycle.run([gateway, bus], stop=asyncio.Event())
    assert raised.group_contains(OSError, match="bus broke")
    assert "gateway ends" in story


class Thorough(Part):
    """A service whose ending takes a while."""

    async def serve(self, started: asyncio.Event) -> None:
        try:
            await super().serve(started)
        finally:
            await asyncio.sleep(0.01)
            self.story.append(f"{self.name} is tidied up")


async def test_a_failure_lets_the_others_end_in_reverse_and_in_peace() -> None:
    story: list[str] = []
    broken = Part("discovery", story)
    broken.broken.set()
    services = [Thorough("bus", story), Thorough("gateway", story), broken]
    with pytest.raises(ExceptionGroup):
        await lifecycle.run(services, stop=asyncio.Event())
    endings = ["gateway ends", "gateway is tidied up", "bus ends", "bus is tidied up"]
    assert story[-5:] == ["discovery ends", *endings]


@pytest.mark.parametrize("starts", [True, False])
async def test_a_service_that_returns_is_a_failure(starts: bool) -> None:
    with pytest.raises(ExceptionGroup) as raised:
        await lifecycle.run([Brief(starts=starts)], stop=asyncio.Event())
    assert raised.group_contains(RuntimeError, match="Brief ended by itself")


async def test_a_stop_during_the_start_does_not_wait_for_the_start() -> None:
    story: list[str] = []
    stop = asyncio.Event()
    slow = Slow("display", story)
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        group.create_task(lifecycle.run([Part("bus", story), slow, Part("gateway", story)], stop=stop))
        await slow.starting.wait()
        stop.set()
    assert "bus ends" in story
    assert "gateway starts" not in story


def listener(path: str) -> socket.socket:
    """systemd's end of the notification socket."""
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    channel.bind("\0" + path[1:] if path.startswith("@") else path)
    return channel


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, abstract: bool) -> None:
    path = f"@{tmp_path}" if abstract else str(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", path)
    with listener(path) as systemd:
        lifecycle.notify("READY=1")
        assert systemd.recv(100) == b"READY=1"


def test_nothing_happens_where_systemd_does_not_listen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    lifecycle.notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    lifecycle.notify("READY=1")


async def test_the_watchdog_is_fed_well_before_it_bites(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", path)
    monkeypatch.setenv("WATCHDOG_USEC", "40000")
    loop = asyncio.get_running_loop()
    with listener(path) as systemd:
        async with asyncio.timeout(5), asyncio.TaskGroup() as group:
            feeding = group.create_task(lifecycle.Watchdog().serve(asyncio.Event()))
            fed = []
            for _ in range(6):
                assert await loop.sock_recv(systemd, 100) == b"WATCHDOG=1"
                fed.append(loop.time())
            feeding.cancel()
    assert fed[-1] - fed[0] >= 0.03, "it is fed at half the interval, not in a busy loop"
