"""Child processes that never outlive us: own process group, death signal, TERM then KILL."""

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any

from appliance.errors import UnavailableError

logger = logging.getLogger(__name__)

_TERM_SECONDS = 2.0
_LAST_WORDS_SECONDS = 0.5
_LOOK_SECONDS = 1.0
_GLANCE_SECONDS = 0.05
_LEVELS = logging.getLevelNamesMapping()


_OURS = ("NOTIFY_SOCKET", "WATCHDOG_", "CREDENTIALS_DIRECTORY", "FANLIGHT_")
"""Variables that are for the daemon alone: who is at the keyboard of an application reads its environment."""


def surroundings() -> dict[str, str]:
    """Our environment without what is for us alone."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}


def our_module(name: str) -> tuple[str, ...]:
    """The command that runs a module of ours, and none of the working directory, which may be anybody's."""
    return sys.executable, "-P", "-m", name


class Child:
    """A running child; `tail` holds the last lines of its standard error, and `note` is told of each."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        said: asyncio.StreamReader,
        name: str,
        level: int,
        note: Callable[[str], None],
    ) -> None:
        self.process = process
        self.name = name
        self.note = note
        self._said = said
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
        """Its exit code, negative for a signal; what it says is read, and logged, until then."""
        return await self._listen_until(self.process.wait())

    async def wait_for_all(self) -> int:
        """The same, but where it is 0 only once nobody of its process group runs: a launcher ends early."""
        return await self._listen_until(self._end_of_all())

    async def lines(self) -> AsyncIterator[str]:
        """Its standard error, or all that it says, line by line, until it ends."""
        while line := await _line(self._said):
            text = line.decode(errors="replace").rstrip()
            self.tail.append(text)
            self.note(text)
            yield text

    async def _listen_until(self, end: Coroutine[Any, Any, int]) -> int:
        async with asyncio.TaskGroup() as group:
            listening = group.create_task(self._listen())
            code = await end
            # A daemon that it left behind may keep the pipe open for ever.
            await asyncio.wait((listening,), timeout=_LAST_WORDS_SECONDS)
            listening.cancel()
        return code

    async def _listen(self) -> None:
        async for text in self.lines():
            word, _, rest = text.partition(" ")
            if word in _LEVELS:
                logger.log(_LEVELS[word], "%s: %s", self.name, rest.lstrip())
            else:
                logger.log(self._level, "%s: %s", self.name, text)

    async def _end_of_all(self) -> int:
        code = await self.process.wait()
        while True:
            if code or not await asyncio.to_thread(_is_populated, self.pid):
                return code
            await asyncio.sleep(_LOOK_SECONDS)


def _is_populated(group: int) -> bool:
    """Whether anybody of this process group runs; who only waits to be reaped does not. Blocks."""
    for file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, its_group = file.read_bytes().rpartition(b")")[2].split()[:3]
            if int(its_group) == group and state not in (b"Z", b"X"):
                return True
    return False


async def _emptied(group: int) -> None:
    while True:
        if not await asyncio.to_thread(_is_populated, group):
            return
        await asyncio.sleep(_GLANCE_SECONDS)


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
    # A pipe of our own: asyncio's hold up the end of a process for as long as anybody has them open.
    said = asyncio.StreamReader()
    try:
        reading, writing = os.pipe()
    except OSError as exc:
        raise UnavailableError(f"{name}: {exc}") from exc
    pipe: asyncio.ReadTransport | None = None
    try:
        try:
            pipe, _ = await asyncio.get_running_loop().connect_read_pipe(
                lambda: asyncio.StreamReaderProtocol(said), os.fdopen(reading, "rb", 0)
            )
            process = await asyncio.create_subprocess_exec(
                *guard,
                *arguments,
                env=surroundings() if env is None else env,
                stdin=stdin,
                stdout=writing if both else stdout,
                stderr=writing,
                pass_fds=pass_fds,
                process_group=0,
            )
        except OSError as exc:
            raise UnavailableError(f"{name}: {exc}") from exc
        finally:
            os.close(writing)
        try:
            yield Child(process, said, name, log_level, note)
        finally:
            await end(process)
    finally:
        if pipe:
            pipe.close()


async def end(process: asyncio.subprocess.Process, patience_s: float = _TERM_SECONDS) -> None:
    """Ask the group to end, then make it; also what the leader left behind."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGTERM)
        ended = process.wait() if process.returncode is None else _emptied(process.pid)
        with contextlib.suppress(TimeoutError):
            # A task that is being cancelled gets no TimeoutError from Python 3.11.2's asyncio.timeout.
            await asyncio.wait_for(ended, patience_s)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
    # asyncio lets go of a process only once its pipes have ended, and complains if the loop closes before.
    if process.stdin:
        process.stdin.close()
    if process.stdout:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.stdout.read(), patience_s)
