"""Recordings are kept for as long as they may be; the one place where they are deleted."""

import asyncio
import logging
import time
from collections.abc import Callable, Container
from pathlib import Path

from appliance import recordings
from appliance.config import Config
from appliance.recordings import Recording, Shelf

logger = logging.getLogger(__name__)

_ROUND_S = 60.0
_GIB = 1 << 30


class Retention:
    """Of the recordings of this box. `problem` says why they cannot be looked after."""

    def __init__(self, config: Callable[[], Config], state_dir: Path) -> None:
        self.root = recordings.root_of(config().recording.directory, state_dir)
        self.problem = ""
        self._config = config

    async def serve(self, started: asyncio.Event) -> None:
        """Sweep until cancelled."""
        started.set()
        while True:
            try:
                await asyncio.to_thread(self.sweep, time.time())
                self.problem = ""
            except OSError as exc:
                if str(exc) != self.problem:
                    logger.warning("recordings are not looked after: %s", exc)
                self.problem = str(exc)
            await asyncio.sleep(_ROUND_S)

    async def found(self) -> list[Recording]:
        """All of them, the oldest first. Raises OSError."""
        return await asyncio.to_thread(recordings.found, self.root)

    async def playable(self, finished_names: Container[str]) -> list[Recording]:
        """Those of these names in which there is a picture, the oldest first. Raises OSError."""
        named = [each for each in await self.found() if each.finished_name in finished_names]
        return await asyncio.to_thread(lambda: list(filter(recordings.playable, named)))

    def sweep(self, now: float) -> None:
        """Name what a crash cut off, and delete what is too old or has no room. Raises OSError."""
        for each in recordings.recover(recordings.found(self.root), now):
            logger.warning("the recording %s was cut off: it plays, and has no index", each.file.name)
        config = self._config()
        hours = {
            Shelf.APPLICATION: config.recording.retention_hours,
            Shelf.CHANNEL: config.kinesis.retention_hours,
        }
        most = int(config.recording.max_gb * _GIB)
        for each in recordings.surplus(recordings.found(self.root), hours, most, now):
            each.file.unlink(missing_ok=True)
            logger.info("the recording %s is deleted: it was kept for long enough", each.file.name)
