"""The ICE servers of the cloud: asked for once in their lifetime, however many viewers come."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from appliance.bus.messages import IceServer
from appliance.uplink.cloud import CloudError, Lease

logger = logging.getLogger(__name__)

_REMAINING_SECONDS = 60.0
"""A viewer takes some time to connect with what it was given."""
_AGAIN_SECONDS = 1.0
"""AWS answers five calls a second, and those of all viewers count."""


class IceServers:
    """What a viewer that comes now may use; nothing, rather than no answer, while the cloud gives nothing."""

    def __init__(
        self, ask: Callable[[], Awaitable[Lease]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ask = ask
        self._clock = clock
        self._asking = asyncio.Lock()
        self._servers: list[IceServer] = []
        self._until = float("-inf")

    async def current(self) -> list[IceServer]:
        """Asks only where those that are known end soon."""
        async with self._asking:
            if self._clock() >= self._until:
                await self._renew()
            return self._servers

    def forget(self) -> None:
        """They will not work much longer."""
        self._until = float("-inf")

    async def _renew(self) -> None:
        try:
            lease = await self._ask()
        except CloudError as exc:
            logger.warning("uplink: no ICE servers: %s", exc)
            self._servers, lasts = [], _AGAIN_SECONDS
        else:
            self._servers = lease.servers
            lasts = max(lease.seconds - _REMAINING_SECONDS, lease.seconds / 2)
        self._until = self._clock() + lasts
