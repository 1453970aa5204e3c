"""The watch: sessions without their box end, and instances and viewers whose session or right is over."""

import asyncio
import logging
import time
from collections.abc import Callable

from appliance.bus.beat import BEAT_SECONDS, until_beat
from appliance.bus.connection import Bus
from appliance.bus.messages import InstanceState, SessionStatus
from appliance.errors import FanlightError
from appliance.gateway.accounts import Accounts
from appliance.gateway.registry import Registry
from appliance.gateway.sessions import ENDED, SessionRecord, Sessions
from appliance.gateway.shares import Shares
from appliance.gateway.viewers import Viewers

logger = logging.getLogger(__name__)

LOST_SECONDS = 10.0
_KEEP_SECONDS = 600.0
_KEEP_EPHEMERAL_SECONDS = 30.0
"""For who asks how it ended."""
_KEEP_ENDED = 50
_KEEP_LOST_SECONDS = 86_400.0
_ROUND_SECONDS = BEAT_SECONDS
_SWEEP_SECONDS = 60.0


class Watch:
    """Looks over all sessions every few seconds.

    All nodes look, the one that leads acts. Time in which this node heard nothing, because the bus was
    away or it has just started, counts for nobody.
    """

    def __init__(
        self,
        sessions: Sessions,
        shares: Shares,
        accounts: Accounts,
        viewers: Viewers,
        registry: Registry,
        bus: Bus,
        *,
        lost_s: float = LOST_SECONDS,
        leads: Callable[[], bool] = lambda: True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sessions = sessions
        self._shares = shares
        self._accounts = accounts
        self._viewers = viewers
        self._registry = registry
        self._bus = bus
        self._lost_s = lost_s
        self._leads = leads
        self._clock = clock
        self._epoch = bus.epoch
        self._seen: dict[str, float] = {}
        self._leftovers: dict[tuple[str, str], float] = {}
        """By agent and session: since when an instance is announced whose session is over or not there."""
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
            self._leftovers.clear()
        records = await self._sessions.list()
        for record in records:
            if record.status is not SessionStatus.TERMINATED:
                await self._look_at(record)
        self._seen = {each.id: self._seen[each.id] for each in records if each.id in self._seen}
        self._find_leftovers(records)
        if not self._leads():
            return
        await self._stop_leftovers()
        await self._forget(records)
        if self._clock() >= self._sweep_at:
            self._sweep_at = self._clock() + _SWEEP_SECONDS
            await self._sweep()

    async def _sweep(self) -> None:
        for guest in await self._shares.forget(self._known):
            await self._viewers.revoke(guest, "the share link has expired")
        for account in await self._accounts.expired():
            if self._viewers.known(account):
                await self._viewers.revoke(account, "the account has expired")

    async def _known(self) -> set[str]:
        return {each.id for each in await self._sessions.list()}

    async def _look_at(self, record: SessionRecord) -> None:
        now = self._clock()
        since = self._seen.setdefault(record.id, now)
        if told := self._registry.told_of(record.id):
            since = self._seen[record.id] = max(since, told[1])
        if not self._leads():
            return
        begins = record.status is SessionStatus.CREATED and not self._is_late(record)
        lost = now - since > self._lost_s and not begins  # also anew: its box may equip it for a while
        if lost and record.status is not SessionStatus.ERROR:
            await self._lose(record)
        elif told and not lost and told[0].state is InstanceState.RUNNING and self._untold(record):
            await self._sessions.change(record.id, SessionStatus.ACTIVE, "")
        elif told and not lost and record.status is SessionStatus.TERMINATING and self._is_late(record):
            self._sessions.stop_again(record)

    def _is_late(self, record: SessionRecord) -> bool:
        return time.time() - record.changed_at > self._lost_s

    def _may_heal(self, record: SessionRecord) -> bool:
        """Its box comes back with its instance, and asks for no session a second time."""
        if record.status is not SessionStatus.ERROR:
            return False
        away = self._registry.agent(record.agent) is None
        waits = away and time.time() - record.changed_at < _KEEP_LOST_SECONDS
        return waits or self._registry.told_of(record.id) is not None

    def _untold(self, record: SessionRecord) -> bool:
        """Its streamer may have said that it is active while no gateway listened."""
        waits = record.status is SessionStatus.CREATED and self._is_late(record)
        return record.status is SessionStatus.ERROR or waits

    async def _lose(self, record: SessionRecord) -> None:
        if record.status is SessionStatus.TERMINATING:
            await self._sessions.change(record.id, SessionStatus.TERMINATED, record.status_message)
        elif self._registry.agent(record.agent) is None:
            await self._sessions.change(record.id, SessionStatus.ERROR, "its box does not answer any more")
        else:
            await self._sessions.change(record.id, SessionStatus.ERROR, "its instance is gone")

    def _find_leftovers(self, records: list[SessionRecord]) -> None:
        """Their boxes were away, or slow, when they were to stop; or a session is newer than `records`."""
        wanted = {each.id for each in records if each.status is not SessionStatus.TERMINATED}
        self._leftovers = {
            each: self._leftovers.get(each, self._clock())
            for each in self._registry.hosted()
            if each[1] not in wanted
        }

    async def _stop_leftovers(self) -> None:
        for (agent, session), since in self._leftovers.items():
            if self._clock() - since > self._lost_s:
                await self._sessions.stop_leftover(agent, session)
                self._leftovers[agent, session] = self._clock()

    async def _forget(self, records: list[SessionRecord]) -> None:
        ended = [each for each in records if each.status in ENDED and not self._may_heal(each)]
        ended.sort(key=lambda each: each.changed_at, reverse=True)
        for number, each in enumerate(ended):
            if number >= _KEEP_ENDED or time.time() - each.changed_at > _kept_s(each):
                await self._sessions.forget(each)


def _kept_s(record: SessionRecord) -> float:
    over = record.ephemeral and record.status is SessionStatus.TERMINATED
    return _KEEP_EPHEMERAL_SECONDS if over else _KEEP_SECONDS
