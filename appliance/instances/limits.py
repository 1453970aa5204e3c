"""How much CPU and memory the programs of an instance may use, and who sees to it."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from appliance.errors import UnavailableError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """CPUs (fractions count) and bytes of memory; 0: as much as there is."""

    cpus: float = 0
    memory: int = 0

    def __bool__(self) -> bool:
        return bool(self.cpus or self.memory)


UNLIMITED = Limits()


@dataclass(frozen=True, slots=True)
class Confinement:
    """`prefix` goes before the commands of programs; `end` tells why they ended, where that was a limit."""

    prefix: list[str]
    end: Callable[[], str] = str


class Enforcer(Protocol):
    """Keeps programs within limits."""

    @property
    def description(self) -> str:
        """Who does it, or why nobody does."""

    def confine(self, instance: str, limits: Limits) -> Confinement:
        """Have `limits` ready for the programs of `instance`. Blocks; raises OSError."""


class Nobody:
    """Limits are not enforced; `description` says so."""

    def __init__(self, why: str) -> None:
        self.description = f"not enforced: {why}"

    def confine(self, instance: str, limits: Limits) -> Confinement:
        """Nothing, but not in silence."""
        logger.warning("instance %s: %s are %s", instance, limits, self.description)
        return Confinement([])


class Limiter:
    """Finds out who can enforce limits when they are first asked for."""

    def __init__(self, find: Callable[[], Enforcer]) -> None:
        self._find = find
        self._enforcer: Enforcer | None = None
        self._confined: dict[str, Confinement] = {}
        self._finding = asyncio.Lock()

    async def confine(self, instance: str, limits: Limits) -> tuple[list[str], str]:
        """What goes before the commands of its programs, and how its limits are enforced.

        Raises UnavailableError where they could be, but not now.
        """
        async with self._finding:
            if self._enforcer is None:
                self._enforcer = await asyncio.to_thread(self._find)
            enforcer = self._enforcer
        try:
            confinement = await asyncio.to_thread(enforcer.confine, instance, limits)
        except OSError as exc:
            raise UnavailableError(f"instance {instance}: its limits: {exc}") from exc
        self._confined[instance] = confinement
        return confinement.prefix, enforcer.description

    async def release(self, instance: str) -> str:
        """The instance is over; returns why, where a limit was the cause."""
        confinement = self._confined.pop(instance, None)
        if confinement is None:
            return ""
        try:
            return await asyncio.to_thread(confinement.end)
        except OSError as exc:
            logger.warning("instance %s: its control group stays: %s", instance, exc)
            return ""
