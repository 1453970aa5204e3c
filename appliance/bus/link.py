"""The daemon's one connection to the bus, as a service."""

import asyncio
import contextlib
from collections.abc import Callable

from appliance.bus.connection import Bus, BusAddress, connect
from appliance.errors import UnavailableError


class BusLink:
    """Calling it gives the bus, once it is served."""

    def __init__(self, address: Callable[[], BusAddress], name: str) -> None:
        self.address = address
        self._name = name
        self._bus: Bus | None = None

    def __call__(self) -> Bus:
        """Raises UnavailableError before the first connection."""
        if self._bus is None:
            raise UnavailableError("bus: not connected yet")
        return self._bus

    @property
    def connected(self) -> bool:
        """Whether a server answers right now."""
        return self._bus is not None and self._bus.connected

    async def serve(self, started: asyncio.Event) -> None:
        """Hold the connection until cancelled.

        Raises UnavailableError where nothing answers at start, or the server ends it for good.
        """
        async with contextlib.AsyncExitStack() as stack:
            self._bus = await stack.enter_async_context(connect(self.address(), name=self._name))
            started.set()
            await self._bus.refused()
