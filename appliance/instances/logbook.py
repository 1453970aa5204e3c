"""What instances, their streamers and their programs say, in files of a limited size."""

import asyncio
import functools
import logging
import re
import shutil
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Container
from datetime import UTC, datetime
from pathlib import Path

from appliance.errors import NotFoundError

logger = logging.getLogger(__name__)

Note = Callable[[str], None]
"""Takes a line; never waits."""

INSTANCE, STREAMER, APPLICATION = "instance.log", "streamer.log", "application.log"
_FILE_BYTES_MAX = 1 << 20
_WAITING_MAX = 5000
_KEPT = 50
_LATEST, _LINE_MAX = 500, 1000
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_Log = tuple[str, str]
"""Instance and name."""


class Logbook:
    """Writes below `root`, a directory for each instance; those of the 50 that ended last are kept.

    A file that is full is kept as `<name>.1` until the next one is.
    """

    def __init__(self, root: Path, running: Container[str] = ()) -> None:
        self._root = root
        self._running = running
        self._waiting: deque[tuple[_Log, str]] = deque()
        self._lost: Counter[_Log] = Counter()
        self._some = asyncio.Event()
        self._writing = threading.Lock()

    async def run(self) -> None:
        """Write what is noted until cancelled; what is still to be said then is for `flush`."""
        while True:
            await self._some.wait()
            await self.flush()

    def into(self, instance: str, name: str) -> Note:
        """What takes the lines of this log; they are lost where writing cannot keep up."""
        return functools.partial(self._note, (instance, name))

    async def names(self, instance: str) -> list[str]:
        """The logs of an instance, also of one that has ended. Raises NotFoundError."""
        if not _ID.fullmatch(instance):
            raise NotFoundError(f"instance {instance!r} has no logs")
        await self.flush()
        try:
            return await asyncio.to_thread(lambda: sorted(each.name for each in self._of(instance).iterdir()))
        except FileNotFoundError:
            raise NotFoundError(f"instance {instance!r} has no logs") from None

    async def read(self, instance: str, name: str) -> str:
        """One of them. Raises NotFoundError."""
        if name not in await self.names(instance):
            raise NotFoundError(f"instance {instance!r} has no log {name!r}")
        return await asyncio.to_thread((self._of(instance) / name).read_text, "utf-8", "replace")

    async def latest(self, instance: str, log: str = "") -> list[str]:
        """The newest lines of all of them, or of `log`, by their time, each with the name of its log.

        Raises NotFoundError.
        """
        found = []
        names = [each for each in await self.names(instance) if not log or log in (each, _said(each))]
        if log and not names:
            raise NotFoundError(f"instance {instance!r} has no log {log!r}")
        for name in names:
            said = _said(name)
            for line in (await self.read(instance, name)).splitlines():
                when, _, text = line.partition(" ")
                found.append(f"{when} {said}: {text}"[:_LINE_MAX])
        found.sort(key=lambda line: line.partition(" ")[0])
        return found[-_LATEST:]

    async def forget(self, instance: str) -> None:
        """Remove the logs of an instance."""
        await self.flush()
        await asyncio.to_thread(shutil.rmtree, self._of(instance), ignore_errors=True)

    def _of(self, instance: str) -> Path:
        return self._root / instance

    def _note(self, log: _Log, text: str) -> None:
        if len(self._waiting) >= _WAITING_MAX:
            self._lost[log] += 1
            return
        now = datetime.now(UTC).isoformat(timespec="microseconds")
        if lost := self._lost.pop(log, 0):
            self._waiting.append((log, f"{now} ... {lost} lines were lost here\n"))
        self._waiting.append((log, f"{now} {text}\n"))
        self._some.set()

    async def flush(self) -> None:
        """Write what waits."""
        self._some.clear()
        await asyncio.to_thread(self._write_waiting)

    def _write_waiting(self) -> None:
        """Takes the lines itself: who is cancelled before a thread is free for it has taken none."""
        with self._writing:
            batch = [self._waiting.popleft() for _ in range(len(self._waiting))]
            try:
                self._write(batch)
            except OSError as exc:
                logger.warning("logs of instances: %d lines are lost: %s", len(batch), exc)

    def _write(self, batch: list[tuple[_Log, str]]) -> None:
        lines: defaultdict[_Log, list[str]] = defaultdict(list)
        for log, line in batch:
            lines[log].append(line)
        for (instance, name), texts in lines.items():
            directory = self._of(instance)
            if not directory.exists():
                directory.mkdir(parents=True, mode=0o700)
                self._keep_the_latest()
            file = directory / name
            with file.open("a", encoding="utf-8") as stream:
                stream.writelines(texts)
            if file.stat().st_size > _FILE_BYTES_MAX:
                file.replace(file.with_name(f"{name}.1"))

    def _keep_the_latest(self) -> None:
        ended = [each for each in self._root.iterdir() if each.name not in self._running]
        for old in sorted(ended, key=_written)[:-_KEPT]:
            shutil.rmtree(old, ignore_errors=True)


def _written(directory: Path) -> float:
    """When there was something to write last."""
    return max(each.stat().st_mtime for each in (directory, *directory.glob("*")))


def _said(name: str) -> str:
    """Who said what is in the file `name`."""
    return name.partition(".")[0]
