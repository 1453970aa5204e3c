"""Child processes that never outlive us: own process group, death signal, TERM then KILL."""

import asyncio
import contextlib
import logging
import os
import shutil
import signal
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence

from appliance.errors import UnavailableError

logger = logging.getLogger(__name__)

_TERM_SECONDS = 2.0
_LEVELS = logging.getLevelNamesMapping()


_OURS = ("NOTIFY_SOCKET", "WATCHDOG_", "CREDENTIALS_DIRECTORY", "FANLIGHT_")
"""Variables that are for the daemon alone: who is at the keyboard of an application reads its environment."""


def surroundings() -> dict[str, str]:
    """Our environment without what is for us alone."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}


class Child:
    """A running child; `tail` holds the last lines of its standard error, and `note` is told of each."""

    def __init__(
        self, process: asyncio.subprocess.Process, name: str, level: int, note: Callable[[str], None]
    ) -> None:
        self.process = process
        self.name = name
        self.note = note
        self._level = level
        self.tail: deque[str] = deque(maxlen=50)

    @property
    def pid(self) -> int:
        """Also the id of its process group."""
        return self.process.pid

    @property
    def last_words(self) -> str:
        """What it said last, for a person."""
        return next((line for line in reversed(self.tail) if line.strip()), "it said nothing")

    async def wait(self) -> int:
        """Its exit code, negative for a signal; its standard error is read, and logged, until then."""
        async for text in self.lines():
            word, _, rest = text.partition(" ")
            if word in _LEVELS:
                logger.log(_LEVELS[word], "%s: %s", self.name, rest.lstrip())
            else:
                logger.log(self._level, "%s: %s", self.name, text)
        return await self.process.wait()

    async def lines(self) -> AsyncIterator[str]:
        """Its standard error, or all that it says, line by line, until it ends."""
        stream = self.process.stderr or self.process.stdout
        while stream and (line := await _line(stream)):
            text = line.decode(errors="replace").rstrip()
            self.tail.append(text)
            self.note(text)
            yield text


async def _line(stream: asyncio.StreamReader) -> bytes:
    try:
        return await stream.readline()
    except ValueError:  # a line longer than the stream's limit: the stream dropped it
        return b"...\n"


@contextlib.asynccontextmanager
async def child(
    arguments: Sequence[str],
    *,
    name: str,
    env: Mapping[str, str] | None = None,
    stdin: int = asyncio.subprocess.DEVNULL,
    stdout: int = asyncio.subprocess.DEVNULL,
    pass_fds: Sequence[int] = (),
    log_level: int = logging.DEBUG,
    both: bool = False,
    note: Callable[[str], None] = lambda _: None,
) -> AsyncIterator[Child]:
    """Start `arguments`; on leaving, its whole process group is gone. Raises UnavailableError.

    `both`: what it says on standard output goes where its standard error goes.
    """
    guard = ("setpriv", "--pdeathsig", "KILL", "--") if shutil.which("setpriv") else ()
    if not shutil.which(arguments[0]):
        raise UnavailableError(f"{name}: no program {arguments[0]!r} on this machine")
    try:
        process = await asyncio.create_subprocess_exec(
            *guard,
            *arguments,
            env=surroundings() if env is None else env,
            stdin=stdin,
            stdout=asyncio.subprocess.PIPE if both else stdout,
            stderr=asyncio.subprocess.STDOUT if both else asyncio.subprocess.PIPE,
            pass_fds=pass_fds,
            process_group=0,
        )
    except OSError as exc:
        raise UnavailableError(f"{name}: {exc}") from exc
    running = Child(process, name, log_level, note)
    try:
        yield running
    finally:
        await end(process)


async def end(process: asyncio.subprocess.Process, patience_s: float = _TERM_SECONDS) -> None:
    """Ask the group to end, then make it; also what the leader left behind."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            # A task that is being cancelled gets no TimeoutError from Python 3.11.2's asyncio.timeout.
            await asyncio.wait_for(process.wait(), patience_s)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
    # asyncio lets go of a process only once its pipes have ended, and complains if the loop closes before.
    if process.stdin:
        process.stdin.close()
    for pipe in (process.stdout, process.stderr):
        if pipe:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(pipe.read(), patience_s)
