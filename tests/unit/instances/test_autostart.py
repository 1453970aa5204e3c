"""Autostart over changes of the configuration, with a launch that only counts."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from appliance.config import ApplicationSection
from appliance.instances import autostart
from appliance.instances.autostart import Autostart

pytestmark = pytest.mark.unit


@dataclass
class Started:
    session: None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    anew: bool = False


class Launches:
    """What was launched, and the wish to hear of it."""

    def __init__(self) -> None:
        self.started: list[tuple[str, Started]] = []
        self._more = asyncio.Condition()

    async def __call__(self, name: str, *, resume: str | None) -> Any:
        self.started.append((name, Started()))
        async with self._more:
            self._more.notify_all()
        return self.started[-1][1]

    async def until(self, number: int) -> None:
        async with asyncio.timeout(5), self._more:
            await self._more.wait_for(lambda: len(self.started) >= number)

    def names(self) -> list[str]:
        return [name for name, _ in self.started]


def applications(*names: str) -> Iterable[ApplicationSection]:
    return [ApplicationSection(name=each, kind="test-pattern", autostart=True) for each in names]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(autostart, "_RETRY_SECONDS", 0)


async def test_what_is_new_starts_and_what_runs_goes_on(tmp_path: Path) -> None:
    launches = Launches()
    keeping = Autostart(tmp_path, launches)
    async with asyncio.TaskGroup() as group:
        keeping.update(applications("a"), group)
        await launches.until(1)
        keeping.update(applications("a", "b"), group)
        await launches.until(2)
        assert launches.names() == ["a", "b"]
        launches.started[0][1].ended.set()
        await launches.until(3)
        assert launches.names() == ["a", "b", "a"]
        keeping.update([], group)
        for _, each in launches.started:
            each.ended.set()
    assert launches.names() == ["a", "b", "a"]


async def test_what_a_person_stopped_stays_stopped_over_a_reload(tmp_path: Path) -> None:
    launches = Launches()
    keeping = Autostart(tmp_path, launches)
    async with asyncio.TaskGroup() as group:
        keeping.update(applications("a"), group)
        await launches.until(1)
        launches.started[0][1].stopping.set()
        launches.started[0][1].ended.set()
    async with asyncio.TaskGroup() as group:
        keeping.update(applications("a"), group)
    assert launches.names() == ["a"]


async def test_what_nobody_wished_to_end_starts_again(tmp_path: Path) -> None:
    launches = Launches()
    keeping = Autostart(tmp_path, launches)
    async with asyncio.TaskGroup() as group:
        keeping.update(applications("a"), group)
        await launches.until(1)
        first = launches.started[0][1]
        first.anew = True
        first.stopping.set()
        first.ended.set()
        await launches.until(2)
        keeping.update([], group)
        launches.started[1][1].ended.set()
