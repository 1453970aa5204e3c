"""Who watches right now, as the streamers tell it; kicking one viewer or all of one principal."""

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import AsyncIterator, Callable
from typing import Protocol

from appliance import audit
from appliance.about import about
from appliance.bus.connection import Bus
from appliance.bus.messages import Role
from appliance.bus.peer_messages import PeerEvent, Revocation
from appliance.bus.stats import InstanceStats
from appliance.bus.subjects import GATEWAY_REVOKED, STATS_ALL, agent_of, belongs, up
from appliance.bus.subjects import stats as stats_subject
from appliance.errors import NotFoundError, UnavailableError
from appliance.gateway.tokens import Principal

logger = logging.getLogger(__name__)

_FRESH_SECONDS = 5.0
_REVOKED_SECONDS = 30.0
"""For so long a revoked principal's viewers are kicked as they show up, whichever node let them in."""


class Socket(Protocol):
    """A socket that this node holds. Without a session it is of a channel of clients, or hears events."""

    session: str
    peer: str

    async def end(self, reason: str) -> None:
        """Say why and close; a client that does not read is waited for a moment only."""

    async def close(self) -> None:
        """Close; it is not the end, and the client may come back."""


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
        async with (
            self._bus.subscribe(STATS_ALL, InstanceStats) as all_stats,
            self._bus.subscribe(GATEWAY_REVOKED, Revocation) as revocations,
            asyncio.TaskGroup() as group,
        ):
            group.create_task(self._follow_revocations(revocations, group))
            async for subject, stats in all_stats:
                if subject != stats_subject(stats.instance) or not _of_one_box(stats):
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

    def full(self, session: str, role: Role) -> bool:
        """Whether the streamer of `session`, as it was a moment ago, takes nobody of this role."""
        stats = self.of(session)
        if stats is None or stats.viewers_max is None or len(stats.viewers) < stats.viewers_max:
            return False
        return not role.controls or all(each.role.controls for each in stats.viewers)

    def _is_fresh(self, heard: float) -> bool:
        return self._clock() - heard < _FRESH_SECONDS

    async def kick(self, peer: str, reason: str = "disconnected by the owner of the box") -> None:
        """Disconnect one viewer. Raises NotFoundError."""
        session = self._session_of(peer)
        if session is None:
            raise NotFoundError(f"no viewer {peer!r}")
        await self._kick(session, peer, reason)

    async def revoke(self, principal: Principal, reason: str) -> None:
        """Have every node, this one too, disconnect all viewers of `principal`, now and as they show up."""
        await self._bus.publish(GATEWAY_REVOKED, Revocation(tag=principal.tag, reason=reason))

    def known(self, principal: Principal) -> bool:
        """Whether any viewer of `principal` is there, or has a socket at this node."""
        peers = [each.peer for each in self.sockets]
        peers += [viewer.id for stats in self.stats() for viewer in stats.viewers]
        return any(_tag(each) == principal.tag for each in peers)

    async def _follow_revocations(
        self, revocations: AsyncIterator[tuple[str, Revocation]], group: asyncio.TaskGroup
    ) -> None:
        async for _, each in revocations:
            now = self._clock()
            self._revoked = {tag: old for tag, old in self._revoked.items() if old[0] > now}
            self._revoked[each.tag] = (now + _REVOKED_SECONDS, each.reason)
            for socket in self.sockets:
                if _tag(socket.peer) == each.tag:
                    group.create_task(self._end(socket, each.reason))
            for stats in self.stats():
                with contextlib.suppress(UnavailableError):
                    await self._kick_revoked(stats)

    async def _end(self, socket: Socket, reason: str) -> None:
        if socket.session:
            with contextlib.suppress(UnavailableError):  # it is kicked as its streamer tells of it
                await self._kick(socket.session, socket.peer, reason)
        await socket.end(reason)

    async def _kick_revoked(self, stats: InstanceStats) -> None:
        for viewer in stats.viewers:
            found = self._revoked.get(_tag(viewer.id))
            if found and found[0] > self._clock() and stats.session:
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


def _of_one_box(stats: InstanceStats) -> bool:
    """The bus lets a box speak of its own instances only; of whose session that is, it knows nothing."""
    return not stats.session or belongs(stats.session, agent_of(stats.instance))


def _tag(peer: str) -> str:
    return peer.partition("-")[0]
