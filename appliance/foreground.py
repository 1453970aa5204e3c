"""A program of ours in the foreground: its files, its signals, what it says when ready, its exit code."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

from appliance import audit, config_file, lifecycle, logs, reads
from appliance.config import Config
from appliance.errors import ConfigError, FanlightError

logger = logging.getLogger(__name__)

_END_SECONDS = 4.5


class Program(Protocol):
    """What runs until it is told to stop."""

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop`; raises an ExceptionGroup with the cause where a part cannot serve.

        Raises ConfigError where only other settings would help.
        """

    def reload(self) -> None:
        """SIGHUP."""


Make = Callable[[Config, logs.RingBuffer], Program]


class Ready:
    """The last service: by then everything serves."""

    def __init__(self, url: Callable[[], str], greet: Callable[[], Awaitable[None]] | None = None) -> None:
        self._url = url
        self._greet = greet

    async def serve(self, started: asyncio.Event) -> None:
        """Say so to systemd, on standard output, and to the person at the terminal."""
        lifecycle.notify(f"READY=1\nSTATUS=serving {self._url()}")
        print(f"ready {self._url()}", flush=True)  # noqa: T201
        if self._greet:
            await self._greet()
        started.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            lifecycle.notify("STOPPING=1")


def run(file: Path | None, state_dir: Path, runtime_dir: Path, make: Make) -> int:
    """Exit code 0 when it was asked to stop, 1 where a part failed, 2 for a bad configuration, also late."""
    reads.install()
    records = logs.setup()
    try:
        config = config_file.load(file)
        if config.log.format == "json":
            logs.write_json()
        for directory in (state_dir, runtime_dir):
            directory.mkdir(parents=True, exist_ok=True, mode=0o750)
        program = make(config, records)
    except ConfigError as exc:
        print(exc, file=sys.stderr)  # noqa: T201
        return 2
    except OSError as exc:
        print(f"the daemon's own files: {exc}", file=sys.stderr)  # noqa: T201
        return 1
    try:
        with audit.kept(state_dir):
            asyncio.run(_main(program))
    except ConfigError as exc:
        logger.error("%s", exc)  # noqa: TRY400
        return 2
    except BaseExceptionGroup as group:
        causes = _causes(group)
        for cause in causes:
            if isinstance(cause, FanlightError):
                logger.error("%s", cause)  # noqa: TRY400
            else:
                logger.exception("a part failed", exc_info=cause)
        return 2 if any(isinstance(each, ConfigError) for each in causes) else 1
    return 0


async def _main(program: Program) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _end, stop)
    loop.add_signal_handler(signal.SIGHUP, program.reload)
    with contextlib.suppress(asyncio.CancelledError):
        await program.run(stop)


def _end(stop: asyncio.Event) -> None:
    """Stop, soon whatever hangs: children have a death signal, so none of them stays."""
    stop.set()
    timer = threading.Timer(_END_SECONDS, os._exit, (0,))
    timer.daemon = True
    timer.start()


def _causes(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    flat: list[BaseException] = []
    for each in group.exceptions:
        flat += _causes(each) if isinstance(each, BaseExceptionGroup) else [each]
    return flat
