"""A link of any kind between two network namespaces, emulated in a process of its own. Needs root, not netem.

`python -m bench.link NAMESPACE NAMESPACE` is that process: packets go from one tun device to the other
through a queue that drops its tail, at the rate, with the delay, jitter and loss of the newest line on
standard input. From the first to the second namespace all of it counts, the other way only the delay. Each
100 ms it prints what it did.
"""

import asyncio
import contextlib
import ctypes
import fcntl
import heapq
import json
import os
import random
import secrets
import select
import struct
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass

from bench.report import quantile
from bench.systems import Place
from tests.support.box import ROOT

BOX, VIEWER = "192.168.86.1", "192.168.86.2"
_CLONE_NEWNET, _TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x40000000, 0x400454CA, 0x0001, 0x1000
_MTU, _BATCH = 2048, 64
_TELL_S = 0.1
_WANDER_S = 0.1


@dataclass(frozen=True, slots=True)
class Shape:
    """What a link does. `kbps` 0 is without limit; the queue is as long as `queue_ms` of the rate."""

    kbps: int = 0
    rtt_ms: float = 50
    loss: float = 0
    jitter_ms: float = 0
    """The delay wanders between nothing and this; order is kept."""
    queue_ms: float = 300


@dataclass(frozen=True, slots=True)
class Told:
    """What the link did within 100 ms, on the way to the viewer. `at` is monotonic, in seconds."""

    at: float
    kbps: float
    waits_ms: Sequence[float]
    """In the queue, of each packet that was delivered."""
    dropped: int
    """For want of room; what `loss` takes is not in it."""


class Link:
    """An emulator that runs, the place of the box at its one end, and the prefix of commands at the other."""

    def __init__(self, process: asyncio.subprocess.Process, box: str, viewer: str) -> None:
        self.told: list[Told] = []
        self.box = Place(BOX, ("ip", "netns", "exec", box))
        self.viewer = ("ip", "netns", "exec", viewer)
        self._process = process

    def become(self, shape: Shape) -> None:
        """Change at once."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps(asdict(shape)).encode() + b"\n")

    async def listen(self) -> None:
        """Note what the emulator tells, until it ends."""
        assert self._process.stdout
        async for line in self._process.stdout:
            self.told.append(Told(**json.loads(line)))

    def since(self, at: float) -> list[Told]:
        """What was told from then on."""
        return [each for each in self.told if each.at >= at]


def queue_p95(told: Sequence[Told]) -> float:
    """In ms, over packets."""
    return quantile((wait for each in told for wait in each.waits_ms), 0.95)


def mean_kbps(told: Sequence[Told]) -> float:
    """Delivered, with all headers."""
    return sum(each.kbps for each in told) / max(len(told), 1)


@contextlib.asynccontextmanager
async def link(shape: Shape) -> AsyncIterator[Link]:
    """Two namespaces with this between them."""
    tag = secrets.token_hex(3)
    box, viewer = f"fl{tag}a", f"fl{tag}b"
    try:
        for name in (box, viewer):
            _ip("netns", "add", name)
            _ip("-n", name, "link", "set", "lo", "up")
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bench.link", box, viewer, cwd=ROOT, limit=1 << 20,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            made = Link(process, box, viewer)
            made.become(shape)
            assert process.stdout
            await process.stdout.readline()
            for name, address in ((box, BOX), (viewer, VIEWER)):
                _ip("-n", name, "addr", "add", f"{address}/24", "dev", "wire")
                _ip("-n", name, "link", "set", "wire", "up")
            async with asyncio.TaskGroup() as group:
                listening = group.create_task(made.listen())
                try:
                    yield made
                finally:
                    listening.cancel()
        finally:
            process.terminate()
            await process.wait()
    finally:
        for name in (box, viewer):
            _remove(name)


def _remove(namespace: str) -> None:
    subprocess.run(["ip", "netns", "delete", namespace], check=False, timeout=10, capture_output=True)


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, timeout=10, check=False)
    if done.returncode:
        raise SystemExit(f"ip {' '.join(arguments)}: {done.stderr.strip()} (this benchmark needs root)")


class Emulator:
    """One thread, one heap of packets that are on their way."""

    def __init__(self, down: int, up: int, shape: Shape) -> None:
        self.flying: list[tuple[float, int, int, bytes, float]] = []
        """When it arrives, a number, where, the packet, ms that it waited in the queue."""
        self.dropped = 0
        self._down, self._up = down, up
        self._shape = shape
        self._random = random.Random(7)  # noqa: S311
        self._number = 0
        self._free = 0.0
        self._last = 0.0
        self._wander = (0.0, 0.0, 0.0)
        self._delivered = 0
        self._waits: list[float] = []

    def run(self) -> None:
        """Until standard input ends."""
        told, orders = time.monotonic(), b""
        while True:
            now = time.monotonic()
            self._deliver(now)
            if now - told >= _TELL_S:
                self._tell(now, now - told)
                told = now
            until = min(told + _TELL_S, self.flying[0][0] if self.flying else now + _TELL_S)
            ready, _, _ = select.select([self._down, self._up, 0], [], [], max(0.0, until - time.monotonic()))
            if 0 in ready:
                orders += os.read(0, 4096)
                if not orders:
                    return
                *lines, orders = orders.split(b"\n")
                for line in lines:
                    self._shape = Shape(**json.loads(line))
            for source in (self._down, self._up):
                if source in ready:
                    self._take(source)

    def _take(self, source: int) -> None:
        for _ in range(_BATCH):
            try:
                packet = os.read(source, _MTU)
            except BlockingIOError:
                return
            now = time.monotonic()
            if source == self._up:
                self._fly(now + self._shape.rtt_ms / 2000, self._down, packet, 0.0)
            elif self._random.random() >= self._shape.loss:
                self.enter(now, packet)

    def enter(self, now: float, packet: bytes) -> None:
        """Queue a packet for the viewer, or drop it."""
        shape = self._shape
        wait = max(self._free - now, 0.0)
        if wait * 1000 > shape.queue_ms:
            self.dropped += 1
            return
        self._free = now + wait + (len(packet) * 0.008 / shape.kbps if shape.kbps else 0.0)
        # Later ones do not overtake: they wait for those that the jitter holds up.
        self._last = max(self._last, self._free + shape.rtt_ms / 2000 + self._jitter(now))
        self._fly(self._last, self._up, packet, 1000 * (self._free - now))

    def _jitter(self, now: float) -> float:
        """Seconds more, on the line between two random ones that are 100 ms apart."""
        began, first, second = self._wander
        if now - began >= _WANDER_S:
            began, first, second = now, second, self._random.random() * self._shape.jitter_ms / 1000
            self._wander = began, first, second
        return first + (second - first) * (now - began) / _WANDER_S

    def _fly(self, at: float, to: int, packet: bytes, wait_ms: float) -> None:
        self._number += 1
        heapq.heappush(self.flying, (at, self._number, to, packet, wait_ms))

    def _deliver(self, now: float) -> None:
        while self.flying and self.flying[0][0] <= now:
            _, _, to, packet, wait_ms = heapq.heappop(self.flying)
            with contextlib.suppress(OSError):  # a device that is not up yet
                os.write(to, packet)
            if to == self._up:
                self._delivered += len(packet)
                self._waits.append(round(wait_ms, 1))

    def _tell(self, now: float, elapsed: float) -> None:
        told = Told(now, self._delivered * 0.008 / elapsed, self._waits, self.dropped)
        print(json.dumps(asdict(told)), flush=True)
        self._delivered, self._waits, self.dropped = 0, [], 0


def open_tun(namespace: str) -> int:
    """A descriptor of the new device `wire` there; this process stays in that namespace."""
    descriptor = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    if ctypes.CDLL(None, use_errno=True).setns(descriptor, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), f"setns {namespace}")
    os.close(descriptor)
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, _TUNSETIFF, struct.pack("16sH", b"wire", _IFF_TUN | _IFF_NO_PI))
    return tun


if __name__ == "__main__":
    to_viewer, to_box = map(open_tun, sys.argv[1:3])
    print(flush=True)
    first = os.fdopen(os.dup(0), "rb", buffering=0).readline()
    Emulator(to_viewer, to_box, Shape(**json.loads(first))).run()
