"""Viewers that come and go at random, and what the streamer holds meanwhile."""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import astuple, dataclass

import psutil

from appliance.bus import subjects
from appliance.bus.connection import Bus
from appliance.bus.messages import Role
from appliance.bus.stats import InstanceStats
from tests.support.room import Viewer, visits

LEAVES = ("says so", "closes", "hangs up", "vanishes")


@dataclass(frozen=True, slots=True)
class Held:
    """Resources of a process at one moment."""

    resident_kib: int
    files: int
    threads: int
    tasks: int


class Crowd:
    """`places` viewers at a time; each stays for up to `stay_s` seconds, then the next one comes."""

    def __init__(self, bus: Bus, places: int, stay_s: float, seed: int = 1) -> None:
        self.joins = 0
        self.leaves: Counter[str] = Counter()
        self._bus = bus
        self._places = places
        self._stay_s = stay_s
        self._random = random.Random(seed)  # noqa: S311

    async def run(self, until: Callable[[], bool]) -> None:
        """Returns once `until` holds and all have left."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._places):
                group.create_task(self._place(until))

    async def _place(self, until: Callable[[], bool]) -> None:
        while not until():
            async with visits(self._bus) as visit:
                viewer = await visit()
                await viewer.open(role=self._random.choice(list(Role)))
                await viewer.watch(codecs=(self._random.choice(("H264", "VP8")),))
                self.joins += 1
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._random.random() * self._stay_s):
                        await viewer.closed.wait()
                await self._leave(viewer, self._random.choice(LEAVES))

    async def _leave(self, viewer: Viewer, how: str) -> None:
        self.leaves[how] += 1
        match how:
            case "says so":
                viewer.say("stream::disconnect", {})
                await viewer.expect_close()
            case "closes":
                await viewer.pc.close()
            case "hangs up":
                await viewer.publish("kick")
                await viewer.expect("fanlight::end")
            case "vanishes":
                await viewer.pc.getTransceivers()[0].receiver.transport.transport._connection.close()
        await viewer.publish("close")


async def held(bus: Bus, pid: int, *, empty: bool = False) -> Held:
    """What the streamer `pid` holds now, or once the last viewer left and nothing is encoded any more."""
    process = psutil.Process(pid)
    async with bus.subscribe(subjects.stats("i1"), InstanceStats) as said:
        stats = (await anext(said))[1]
        while empty and (stats.viewers or stats.source):
            stats = (await anext(said))[1]
        if empty:
            stats = (await anext(said))[1]
    return Held(process.memory_info().rss >> 10, process.num_fds(), process.num_threads(), stats.tasks)


def slopes(samples: list[tuple[float, Held]]) -> tuple[float, ...]:
    """Least squares: growth a minute of each field of Held; times are in seconds."""
    mean_t = sum(t for t, _ in samples) / len(samples)
    spread = sum((t - mean_t) ** 2 for t, _ in samples)
    columns = zip(*(astuple(each) for _, each in samples), strict=True)
    return tuple(
        60 * sum((t - mean_t) * value for (t, _), value in zip(samples, column, strict=True)) / spread
        for column in columns
    )
