"""One streamer process in reserve: started, imported, waiting for its specification."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

from appliance.errors import UnavailableError
from appliance.instances.logbook import Note
from appliance.processes import Child, child, our_module

logger = logging.getLogger(__name__)

_ARGUMENTS = our_module("appliance.streamer")
_PAUSE_SECONDS = 3.0
"""The streamer that was just taken has the processor first."""


def _discard(_: str) -> None:
    """Nobody's streamer has nothing to say."""


class Standby:
    """Starting Python and its libraries takes a second that nobody should wait for after a crash."""

    def __init__(self) -> None:
        self._spare: tuple[contextlib.AsyncExitStack, Child] | None = None
        self._taken = asyncio.Event()

    async def run(self) -> None:
        """Keep one in reserve until cancelled."""
        try:
            while True:
                self._taken.clear()
                if self._spare is None:  # who came while it was made has started one without it
                    await self._make()
                await self._taken.wait()
                await asyncio.sleep(_PAUSE_SECONDS)
        finally:
            if self._spare:
                await self._spare[0].aclose()

    async def _make(self) -> None:
        stack = contextlib.AsyncExitStack()
        try:
            self._spare = stack, await stack.enter_async_context(_streamer("streamer"))
        except UnavailableError as exc:
            logger.warning("no streamer in reserve: %s", exc)

    @contextlib.asynccontextmanager
    async def take(self, name: str, note: Note = _discard) -> AsyncIterator[Child]:
        """The one in reserve, or a new one where there is none. Raises UnavailableError."""
        spare, self._spare = self._spare, None
        self._taken.set()
        if spare is None:
            async with _streamer(name, note) as fresh:
                yield fresh
            return
        stack, waiting = spare
        async with stack:
            if waiting.process.returncode is None:
                waiting.name, waiting.note = name, note
                yield waiting
                return
        async with _streamer(name, note) as fresh:
            yield fresh


def _streamer(name: str, note: Note = _discard) -> contextlib.AbstractAsyncContextManager[Child]:
    return child(_ARGUMENTS, name=name, stdin=asyncio.subprocess.PIPE, log_level=logging.INFO, note=note)
