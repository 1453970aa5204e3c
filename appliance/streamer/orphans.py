"""Viewers whose signaling socket went without a word: a gateway that is killed closes nothing."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Protocol

from appliance.bus import subjects
from appliance.bus.beat import until_beat
from appliance.bus.connection import Bus
from appliance.bus.peer_messages import PeerReply
from appliance.errors import UnavailableError

logger = logging.getLogger(__name__)

_NOTHING = PeerReply(kind="message")
"""Gateways pass it on to nobody."""


class Viewer(Protocol):
    """What is asked of a peer."""

    @property
    def id(self) -> str:
        """Its name on the bus."""

    @property
    def connected(self) -> bool:
        """Whether media flows; where it does, the socket does not matter."""

    @property
    def orphaned(self) -> bool:
        """Whether its socket is known to be gone."""

    def closed(self) -> None:
        """Its socket is gone."""


class Orphans:
    """Looks, on every second beat that finds a viewer without media, whether anybody listens for it."""

    def __init__(self, bus: Bus, session: str, viewers: Callable[[], Iterable[Viewer]]) -> None:
        self._bus = bus
        self._session = session
        self._viewers = viewers
        self._waiting: set[str] = set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(until_beat())
            await self.look()

    async def look(self) -> None:
        """Close those that were without media the last time already, and for whom nobody listens."""
        waiting = {each.id: each for each in self._viewers() if not (each.connected or each.orphaned)}
        async with asyncio.TaskGroup() as group:
            for peer in waiting.keys() & self._waiting:
                group.create_task(self._ask(waiting[peer]))
        self._waiting = set(waiting)

    async def _ask(self, viewer: Viewer) -> None:
        try:
            heard = await self._bus.heard(subjects.down(self._session, viewer.id), _NOTHING)
        except UnavailableError as exc:
            logger.debug("viewer %s: %s", viewer.id, exc)
            return
        if not heard:
            logger.info("viewer %s: nobody listens at its socket any more", viewer.id)
            viewer.closed()
