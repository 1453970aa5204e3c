"""Who watches right now, as the streamers tell it; kicking one viewer or all of one principal."""

import contextlib
import logging
import math
import time
from collections.abc import Callable
from typing import Protocol

from appliance import audit
from appliance.about import about
from appliance.bus.connection import Bus
from appliance.bus.messages import InstanceStats, PeerEvent
from appliance.bus.subjects import STATS_ALL, up
from appliance.bus.subjects import stats as stats_subject
from appliance.errors import NotFoundError, UnavailableError
from appliance.gateway.tokens import Principal

logger = logging.getLogger(__name__)

_FRESH_SECONDS = 5.0
_REVOKED_SECONDS = 30.0
"""For so long a revoked principal's viewers are kicked as they show up, whichever node let them in."""


class Socket(Protocol):
    """A signaling socket that this node holds; without a session it is that of a channel of clients."""

    session: str
    peer: str

    async def end(self, reason: str) -> None:
        """Say why and close."""

    async def close(self) -> None:
        """Close without a word: the client comes back by itself."""


class Viewers:
    """Fed by the statistics of all streamers, once a second each."""

    def __init__(self, bus: Bus, clock: Callable[[], float] = time.monotonic) -> None:
        self._bus = bus
        self._clock = clock
        self._stats: dict[str, tuple[float, InstanceStats]] = {}
        self._instances: dict[str, str] = {}
        """By session."""
        self._revoked: dict[str, tuple[float, str]] = {}
        self.sockets: set[Socket] = set()

    async def follow(self) -> None:
        """Listen until cancelled."""
        async with self._bus.subscribe(STATS_ALL, InstanceStats) as all_stats:
            async for subject, stats in all_stats:
                if subject != stats_subject(stats.instance):
                    continue
                self.hear(stats)
                with contextlib.suppress(UnavailableError):  # the next statistics come in a second
                    await self._kick_revoked(stats)

    def hear(self, stats: InstanceStats) -> None:
        """Note what a streamer says; a new one is when those that fell silent are forgotten."""
        if stats.instance not in self._stats:
            self._stats = {key: each for key, each in self._stats.items() if self._is_fresh(each[0])}
            self._instances = {
                session: each for session, each in self._instances.items() if each in self._stats
            }
        self._stats[stats.instance] = (self._clock(), stats)
        if stats.session:
            self._instances[stats.session] = stats.instance

    def stats(self) -> list[InstanceStats]:
        """What running streamers said last."""
        return [stats for heard, stats in self._stats.values() if self._is_fresh(heard)]

    def of(self, session: str) -> InstanceStats | None:
        """What the streamer of `session` said last."""
        heard, stats = self._stats.get(self._instances.get(session, ""), (-math.inf, None))
        return stats if self._is_fresh(heard) else None

    def _is_fresh(self, heard: float) -> bool:
        return self._clock() - heard < _FRESH_SECONDS

    async def kick(self, peer: str, reason: str = "disconnected by the owner of the box") -> None:
        """Disconnect one viewer. Raises NotFoundError."""
        session = self._session_of(peer)
        if session is None:
            raise NotFoundError(f"no viewer {peer!r}")
        await self._kick(session, peer, reason)

    async def revoke(self, principal: Principal, reason: str) -> None:
        """Disconnect every viewer of `principal`, now and as they show up."""
        self._revoked[principal.tag] = (self._clock() + _REVOKED_SECONDS, reason)
        for socket in [each for each in self.sockets if _tag(each.peer) == principal.tag]:
            if socket.session:
                await self._kick(socket.session, socket.peer, reason)
            await socket.end(reason)
        for stats in self.stats():
            await self._kick_revoked(stats)

    async def _kick_revoked(self, stats: InstanceStats) -> None:
        now = self._clock()
        self._revoked = {tag: each for tag, each in self._revoked.items() if each[0] > now}
        for viewer in stats.viewers:
            found = self._revoked.get(_tag(viewer.id))
            if found and stats.session:
                await self._kick(stats.session, viewer.id, found[1])

    async def _kick(self, session: str, peer: str, reason: str) -> None:
        with about(session=session):
            logger.info("session %s: viewer %s kicked: %s", session, peer, reason)
        audit.record("kick", session=session, viewer=peer, detail=reason)
        await self._bus.publish(up(session), PeerEvent(kind="kick", peer=peer, text=reason))

    def _session_of(self, peer: str) -> str | None:
        for socket in self.sockets:
            if socket.peer == peer:
                return socket.session
        for stats in self.stats():
            if any(viewer.id == peer for viewer in stats.viewers):
                return stats.session
        return None


def _tag(peer: str) -> str:
    return peer.partition("-")[0]
