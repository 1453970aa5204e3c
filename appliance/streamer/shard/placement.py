"""Which process of an instance serves the next viewer."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

_BUSY = 0.7
"""Of a core: above that, frames begin to be late."""
_BUSY_S = 3.0


class Load:
    """Whether the thread that looks, about once a second, is short of CPU; `cpu` is what it used, seconds."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, cpu: Callable[[], float] = time.thread_time
    ) -> None:
        self._clock = clock
        self._cpu = cpu
        self._seen = (clock(), cpu())
        self._calm = clock()

    @property
    def busy(self) -> bool:
        """Whether it has been short of CPU for a while."""
        return self._clock() - self._calm >= _BUSY_S

    def look(self) -> None:
        """Measure since the last look."""
        (then, used), self._seen = self._seen, (self._clock(), self._cpu())
        if self._seen[1] - used < _BUSY * (self._seen[0] - then):
            self._calm = self._seen[0]


class Process(Protocol):
    """One that serves viewers."""

    @property
    def viewers(self) -> int:
        """How many it serves."""

    @property
    def busy(self) -> bool:
        """Whether it is short of CPU."""


@dataclass(frozen=True, slots=True)
class Home:
    """The process that encodes."""

    viewers: int
    busy: bool


P = TypeVar("P", bound=Process)


def choose(home: Home, shards: Sequence[P], bound: int, start: Callable[[], P | None]) -> P | None:
    """The first that has room, or a new one, or the least crowded shard; None is home.

    There is room for `bound` viewers, or, where that is 0, until the CPU gets short. `start` returns None
    where there may be no more shards.
    """

    def has_room(process: Process) -> bool:
        return process.viewers < bound if bound else not process.busy

    if has_room(home):
        return None
    roomy = next(filter(has_room, shards), None)
    return roomy or start() or min(shards, key=lambda shard: shard.viewers, default=None)
