"""An application that starts by itself has one instance, and one session over all restarts."""

import asyncio
import logging
from collections.abc import Awaitable, Iterable
from pathlib import Path
from typing import Protocol

from appliance.config import ApplicationSection
from appliance.errors import FanlightError
from appliance.instances.instance import Instance
from appliance.storage import remembered, write_atomic

logger = logging.getLogger(__name__)

_RETRY_SECONDS = 2.0


class Launch(Protocol):
    """Starts an application with the session that it had, where that still is."""

    def __call__(self, name: str, *, resume: str | None) -> Awaitable[Instance]:
        """Raises FanlightError."""


class Autostart:
    """Keeps applications running; the ids of their sessions are kept in `directory`."""

    def __init__(self, directory: Path, launch: Launch) -> None:
        self._directory = directory
        self._launch = launch
        self._wanted: set[str] = set()
        self._keeping: dict[str, asyncio.Task[None]] = {}

    def update(self, applications: Iterable[ApplicationSection], group: asyncio.TaskGroup) -> None:
        """Start what starts by itself and did not before; what no longer does goes on until it ends."""
        before, self._wanted = self._wanted, {each.name for each in applications if each.autostart}
        for name in sorted(self._wanted - before):
            if name not in self._keeping or self._keeping[name].done():
                self._keeping[name] = group.create_task(self._keep_running(name))

    async def _keep_running(self, name: str) -> None:
        """Until somebody stops it, or it ends unwanted."""
        remember = self._directory / f"{name}.session"
        while name in self._wanted:
            try:
                resume = await asyncio.to_thread(remembered, remember, "") or None
                instance = await self._launch(name, resume=resume)
            except (FanlightError, OSError) as exc:
                logger.warning("%s does not start: %s", name, exc)
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            if instance.session and instance.session != resume:
                await _remember(remember, instance.session)
            await instance.ended.wait()
            if instance.stopping.is_set() and not instance.anew:
                return
            await asyncio.sleep(_RETRY_SECONDS)


async def _remember(file: Path, session: str) -> None:
    try:
        await asyncio.to_thread(write_atomic, file, session)
    except OSError as exc:
        logger.warning("%s: %s; the next start of the daemon makes a new session", file, exc)
