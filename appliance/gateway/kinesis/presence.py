"""Who is connected to the channels right now, at all gateway nodes: the dialect itself tells nobody."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable

from appliance.bus.channel_messages import ChannelClient, ChannelPresence
from appliance.bus.connection import Bus
from appliance.bus.subjects import PRESENCE_ALL, presence
from appliance.errors import UnavailableError
from appliance.gateway.kinesis.errors import ClientLimitError
from appliance.gateway.tokens import new_id

logger = logging.getLogger(__name__)

_PERIOD_SECONDS = 5.0
_LOST_SECONDS = 3 * _PERIOD_SECONDS


class Presence:
    """The connections of this node, told to the others, and theirs; channels are known by their keys."""

    def __init__(self, bus: Bus, clock: Callable[[], float] = time.monotonic) -> None:
        self.node = new_id()
        self._bus = bus
        self._clock = clock
        self._ours: dict[str, dict[str, ChannelClient]] = {}
        self._theirs: dict[tuple[str, str], tuple[float, ChannelPresence]] = {}
        self._untold: set[str] = set()
        self._changed = asyncio.Event()
        self._news = asyncio.Event()
        """Set, and replaced, with everything that is heard."""

    def clients(self, channel: str) -> list[ChannelClient]:
        """All that are connected to `channel`."""
        lost = self._clock() - _LOST_SECONDS
        self._theirs = {key: each for key, each in self._theirs.items() if each[0] > lost}
        found = list(self._ours.get(channel, {}).values())
        for (_, where), (_, told) in self._theirs.items():
            if where == channel:
                found += told.clients
        return found

    def everywhere(self) -> dict[str, list[ChannelClient]]:
        """All that are connected to anything, by channel."""
        lost = self._clock() - _LOST_SECONDS
        found = {channel: list(clients.values()) for channel, clients in sorted(self._ours.items())}
        for (_, channel), (heard, told) in self._theirs.items():
            if heard > lost:
                found.setdefault(channel, []).extend(told.clients)
        return found

    def master(self, channel: str) -> str | None:
        """The connection of its master, the newest one; None while it is away."""
        masters = [each for each in self.clients(channel) if not each.client]
        return max(masters, key=lambda each: each.since).connection if masters else None

    async def master_other_than(self, channel: str, known: str | None) -> str | None:
        """Wait until `master` would return something else than `known`; returns that."""
        while (master := self.master(channel)) == known:
            news = self._news
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PERIOD_SECONDS):
                    await news.wait()
        return master

    def enter(self, channel: str, client: ChannelClient, *, viewers: int) -> None:
        """Count a connection. Raises ClientLimitError beyond `viewers`; who comes again counts once."""
        others = {each.client for each in self.clients(channel)} - {"", client.client}
        if client.client and len(others) >= viewers:
            raise ClientLimitError(
                f"The channel has {viewers} viewers, which is the limit. Try again when one has left."
            )
        self._ours.setdefault(channel, {})[client.connection] = client
        self._tell(channel)

    def leave(self, channel: str, connection: str) -> None:
        """It is closed, or another one took over."""
        clients = self._ours.get(channel, {})
        if clients.pop(connection, None):
            if not clients:
                del self._ours[channel]
            self._tell(channel)

    async def serve(self) -> None:
        """Tell and listen until cancelled."""
        async with (
            self._bus.subscribe(PRESENCE_ALL, ChannelPresence) as news,
            asyncio.TaskGroup() as group,
        ):
            group.create_task(self._announce())
            async for _, each in news:
                self._hear(each)

    def _hear(self, news: ChannelPresence) -> None:
        if news.node == self.node:
            return
        if news.node not in {node for node, _ in self._theirs}:
            self._tell(*self._ours)  # it may be new here
        self._theirs[news.node, news.channel] = (self._clock(), news)
        self._wake()

    def _tell(self, *channels: str) -> None:
        self._untold.update(channels)
        self._changed.set()
        self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def _announce(self) -> None:
        while True:
            self._changed.clear()
            untold, self._untold = self._untold, set()
            for channel in untold:
                clients = list(self._ours.get(channel, {}).values())
                news = ChannelPresence(node=self.node, channel=channel, clients=clients)
                try:
                    await self._bus.publish(presence(channel), news)
                except UnavailableError as exc:
                    logger.debug("channel %s: presence not told: %s", channel, exc)
            try:
                async with asyncio.timeout(_PERIOD_SECONDS if self._ours else None):
                    await self._changed.wait()
            except TimeoutError:
                self._untold.update(self._ours)
