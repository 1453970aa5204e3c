"""Draining a box: nobody new comes in, those who are there are told, and sent away once time is up."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator

from appliance import audit
from appliance.bus.connection import Bus
from appliance.bus.peer_messages import PeerEvent
from appliance.bus.subjects import up
from appliance.control import words
from appliance.errors import UnavailableError
from appliance.gateway.service import Gateway
from appliance.instances.manager import InstanceManager

logger = logging.getLogger(__name__)

_AGAIN_SECONDS = 1.0
_OVER = "this box is being drained, and its time is up"
_CALLED_OFF = "This box goes on as before."


class Drain:
    """Holds until it is ended or the daemon is: a box that starts takes everybody."""

    def __init__(
        self, instances: InstanceManager, bus: Callable[[], Bus], gateway: Gateway | None = None
    ) -> None:
        self._instances = instances
        self._bus = bus
        self._gateway = gateway
        self._deadline: float | None = None
        self._changed = asyncio.Event()

    @property
    def active(self) -> bool:
        """Whether nobody new comes in."""
        return self._instances.draining

    @property
    def viewers(self) -> int:
        """How many are still there."""
        return sum(1 for _ in self._present())

    async def begin(self, timeout_s: int | None) -> None:
        """Close the box for who is not in it; those who are get `timeout_s`, or as long as they like."""
        self._close(closed=True)
        self._deadline = None if timeout_s is None else asyncio.get_running_loop().time() + timeout_s
        self._changed.set()
        limit = (
            "when you leave it"
            if timeout_s is None
            else f"in {words.duration(timeout_s)}, or when you leave it"
        )
        await self._tell(f"This box is about to go down for maintenance: the stream ends {limit}.")
        logger.info("draining: %s left", words.one_or_many(self.viewers, "viewer"))

    async def end(self) -> None:
        """Open the box again."""
        if self.active:
            self._close(closed=False)
            self._deadline = None
            self._changed.set()
            await self._tell(_CALLED_OFF)
            logger.info("not draining any more")

    def _close(self, *, closed: bool) -> None:
        self._instances.drain(closed=closed)
        if self._gateway:
            self._gateway.drain(closed=closed)

    async def serve(self, started: asyncio.Event) -> None:
        """Send away whoever is there when time is up, and who was on the way in."""
        started.set()
        loop = asyncio.get_running_loop()
        while True:
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(self._deadline):
                    await self._changed.wait()
                    continue
            await self._send_away()
            self._deadline = loop.time() + _AGAIN_SECONDS

    async def _send_away(self) -> None:
        for session, viewer in self._present():
            audit.record("kick", session=session, viewer=viewer, detail=_OVER)
            await self._publish(session, PeerEvent(kind="kick", peer=viewer, text=_OVER))

    async def _tell(self, text: str) -> None:
        for each in list(self._instances.instances.values()):
            if each.session:
                await self._publish(each.session, PeerEvent(kind="notice", text=text))

    def _present(self) -> Iterator[tuple[str, str]]:
        """Session and viewer of everybody who is there."""
        for each in list(self._instances.instances.values()):
            if each.session and each.stats:
                for viewer in each.stats.viewers:
                    yield each.session, viewer.id

    async def _publish(self, session: str, event: PeerEvent) -> None:
        try:
            await self._bus().publish(up(session), event)
        except UnavailableError as exc:
            logger.warning("session %s was not told that the box drains: %s", session, exc)
