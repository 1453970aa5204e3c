"""The daemon's one connection to the bus, as a service."""

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable

from appliance import lifecycle
from appliance.bus.connection import Bus, BusAddress, connect
from appliance.errors import UnavailableError

logger = logging.getLogger(__name__)

_LATER_SECONDS = (1.0, 5.0)


class BusLink:
    """Calling it gives the bus, once it is served."""

    def __init__(self, address: Callable[[], BusAddress], name: str, *, patient: bool = False) -> None:
        self.address = address
        self._name = name
        self._patient = patient
        """Wait for a bus on another machine, which may start later than this one."""
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

        Raises UnavailableError where nothing answers at start (unless patient), or once the server ends it.
        """
        async with contextlib.AsyncExitStack() as stack:
            self._bus = await self._connected(stack)
            started.set()
            await self._bus.refused()

    async def _connected(self, stack: contextlib.AsyncExitStack) -> Bus:
        while True:
            try:
                return await stack.enter_async_context(connect(self.address(), name=self._name))
            except UnavailableError as exc:
                if not self._patient:
                    raise
                logger.warning("%s; trying again", exc)
            lifecycle.notify(lifecycle.WAITING_FOR_BUS)
            await asyncio.sleep(random.uniform(*_LATER_SECONDS))  # noqa: S311
