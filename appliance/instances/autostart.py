"""An application that starts by itself has one instance, and one session over all restarts."""

import asyncio
import logging
from collections.abc import Awaitable
from pathlib import Path
from typing import Protocol

from appliance.errors import FanlightError
from appliance.instances.instance import Instance
from appliance.storage import remembered, write_atomic

logger = logging.getLogger(__name__)

_RETRY_SECONDS = 2.0


class Launch(Protocol):
    """Starts an application with the session that it had, where that still is."""

    def __call__(self, name: str, *, resume: str | None) -> Awaitable[Instance]:
        """Raises FanlightError."""


async def keep_running(name: str, remember: Path, launch: Launch) -> None:
    """Until somebody stops it; the id of its session is kept in `remember`."""
    while True:
        try:
            resume = await asyncio.to_thread(remembered, remember, "") or None
            instance = await launch(name, resume=resume)
        except (FanlightError, OSError) as exc:
            logger.warning("%s does not start: %s", name, exc)
            await asyncio.sleep(_RETRY_SECONDS)
            continue
        if instance.session and instance.session != resume:
            await _remember(remember, instance.session)
        await instance.ended.wait()
        if instance.stopping.is_set():
            return
        await asyncio.sleep(_RETRY_SECONDS)


async def _remember(file: Path, session: str) -> None:
    try:
        await asyncio.to_thread(write_atomic, file, session)
    except OSError as exc:
        logger.warning("%s: %s; the next start of the daemon makes a new session", file, exc)
