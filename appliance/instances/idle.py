"""When an instance that nobody watches ends."""

import asyncio
from dataclasses import dataclass, field
from typing import Literal

_JOIN_MINUTES = 5
"""A client that created a session and never joined it leaves nothing behind."""
_LEFT_SECONDS = 5.0
"""A reload of the page is not the end of an ephemeral session."""


@dataclass(slots=True)
class IdlePolicy:
    """`minutes` without viewers, 0 for ever; `ephemeral`: ends when its client left."""

    minutes: int = 0
    ephemeral: bool = False
    _viewers: int = 0
    _visits: int = 0
    _farewells: int = 0
    _watched: bool = False
    _farewell: bool = False
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def watched_by(self, viewers: int, *, visits: int = 0, farewells: int = 0) -> None:
        """Note how many are watching now, and how many came and took their leave so far."""
        if (viewers, visits, farewells) == (self._viewers, self._visits, self._farewells):
            return
        self._watched = self._watched or viewers > 0 or visits > 0
        self._farewell = not viewers and (self._farewell or farewells > self._farewells)
        self._viewers, self._visits, self._farewells = viewers, visits, farewells
        self._changed.set()

    @property
    def patience_s(self) -> float | None:
        """Seconds until the end if nobody comes; None: no end."""
        if self._viewers:
            return None
        if self.ephemeral and self._farewell:
            return 0.0
        if self.ephemeral:
            return _LEFT_SECONDS if self._watched else _JOIN_MINUTES * 60
        return self.minutes * 60 or None

    async def expired(self) -> Literal["idle"]:
        """Returns once patience ran out."""
        while True:
            self._changed.clear()
            try:
                async with asyncio.timeout(self.patience_s):
                    await self._changed.wait()
            except TimeoutError:
                return "idle"
