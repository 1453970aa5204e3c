"""The watch: sessions whose box or instance is gone end, ended ones and expired shares are forgotten."""

import asyncio
import logging
import time
from collections.abc import Callable

from appliance.bus.beat import BEAT_SECONDS, until_beat
from appliance.bus.connection import Bus
from appliance.bus.messages import InstanceState, SessionStatus
from appliance.errors import FanlightError
from appliance.gateway.registry import Registry
from appliance.gateway.sessions import ENDED, SessionRecord, Sessions
from appliance.gateway.shares import Shares
from appliance.gateway.viewers import Viewers

logger = logging.getLogger(__name__)

LOST_SECONDS = 12.0
_KEEP_SECONDS = 600.0
_KEEP_ENDED = 50
_ROUND_SECONDS = BEAT_SECONDS
_SWEEP_SECONDS = 60.0


class Watch:
    """Looks over all sessions every few seconds.

    Time in which this node heard nothing, because the bus was away or it has just started, counts for nobody.
    """

    def __init__(
        self,
        sessions: Sessions,
        shares: Shares,
        viewers: Viewers,
        registry: Registry,
        bus: Bus,
        *,
        lost_s: float = LOST_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sessions = sessions
        self._shares = shares
        self._viewers = viewers
        self._registry = registry
        self._bus = bus
        self._lost_s = lost_s
        self._clock = clock
        self._epoch = bus.epoch
        self._seen: dict[str, float] = {}
        self._sweep_at = 0.0

    async def serve(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(until_beat(_ROUND_SECONDS))
            try:
                await self.round()
            except FanlightError as exc:
                logger.debug("sessions not looked over: %s", exc)

    async def round(self) -> None:
        """Look once."""
        if self._epoch != self._bus.epoch or not self._bus.connected:
            self._epoch = self._bus.epoch
            self._seen.clear()
        records = await self._sessions.list()
        for record in records:
            if record.status is not SessionStatus.TERMINATED:
                await self._look_at(record)
        self._seen = {each.id: self._seen[each.id] for each in records if each.id in self._seen}
        await self._forget(records)
        if self._clock() >= self._sweep_at:
            self._sweep_at = self._clock() + _SWEEP_SECONDS
            for guest in await self._shares.forget({each.id for each in records}):
                await self._viewers.revoke(guest, "the share link has expired")

    async def _look_at(self, record: SessionRecord) -> None:
        now = self._clock()
        since = self._seen.setdefault(record.id, now)
        if told := self._registry.told_of(record.id):
            since = self._seen[record.id] = max(since, told[1])
        lost = now - since > self._lost_s
        if record.status is not SessionStatus.ERROR:
            if lost:
                await self._lose(record)
        elif told and not lost and told[0].state is InstanceState.RUNNING:
            await self._sessions.change(record.id, SessionStatus.ACTIVE, "")

    async def _lose(self, record: SessionRecord) -> None:
        if record.status is SessionStatus.TERMINATING:
            await self._sessions.change(record.id, SessionStatus.TERMINATED, record.status_message)
        elif self._registry.agent(record.agent) is None:
            await self._sessions.change(record.id, SessionStatus.ERROR, "its box does not answer any more")
        else:
            await self._sessions.change(record.id, SessionStatus.ERROR, "its instance is gone")

    async def _forget(self, records: list[SessionRecord]) -> None:
        ended = [each for each in records if each.status in ENDED]
        ended.sort(key=lambda each: each.changed_at, reverse=True)
        for number, each in enumerate(ended):
            if number >= _KEEP_ENDED or time.time() - each.changed_at > _KEEP_SECONDS:
                await self._sessions.forget(each.id)
