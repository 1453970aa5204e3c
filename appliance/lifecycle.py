"""The whole concurrency policy: services start in order, run until cancelled, stop in reverse."""

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Sequence
from typing import Protocol

logger = logging.getLogger(__name__)


class Service(Protocol):
    """One part of the daemon."""

    async def serve(self, started: asyncio.Event) -> None:
        """Set `started` once usable, then run until cancelled. Cancellation is the only stop."""


async def run(services: Sequence[Service], *, stop: asyncio.Event) -> None:
    """Start `services` in order, wait for `stop`, stop them in reverse.

    A service that fails sets `stop` for the others, and its exception leaves in an ExceptionGroup.
    """
    failures: list[Exception] = []
    async with asyncio.TaskGroup() as group:
        tasks: list[asyncio.Task[None]] = []
        stopping = group.create_task(stop.wait(), name="stop")
        try:
            for service in services:
                started = asyncio.Event()
                name = type(service).__name__
                task = group.create_task(_serve(service, started, failures, stop), name=name)
                tasks.append(task)
                starting = group.create_task(started.wait(), name=f"{name}.started")
                await asyncio.wait((starting, task, stopping), return_when=asyncio.FIRST_COMPLETED)
                if stop.is_set() or not started.is_set():
                    starting.cancel()
                if stop.is_set():
                    break
                logger.debug("%s started", name)
            await stopping
        finally:
            for task in reversed(tasks):
                task.cancel()
                await asyncio.wait((task,))
    if failures:
        raise ExceptionGroup("a service failed", failures)


async def _serve(
    service: Service, started: asyncio.Event, failures: list[Exception], stop: asyncio.Event
) -> None:
    # In the group it would cancel all at once, and again when their turn comes, in the midst of their ending.
    try:
        await service.serve(started)
        failures.append(RuntimeError(f"{type(service).__name__} ended by itself"))
    except Exception as exc:  # noqa: BLE001 - it leaves in the group
        failures.append(exc)
    stop.set()


WAITING_FOR_BUS = "EXTEND_TIMEOUT_USEC=60000000\nSTATUS=waiting for the bus"
WAITING_FOR_GATEWAY = "EXTEND_TIMEOUT_USEC=60000000\nSTATUS=waiting for the gateway, to enrol there"
"""What is on another machine may start later than what needs it: another minute."""


def notify(state: str) -> None:
    """Tell systemd `state` (sd_notify(3)); nothing where systemd does not listen."""
    path = os.environ.get("NOTIFY_SOCKET")
    if not path:
        return
    address = "\0" + path[1:] if path.startswith("@") else path
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as channel,
    ):
        channel.sendto(state.encode(), address)


class Watchdog:
    """Keeps systemd's watchdog fed for as long as the event loop turns."""

    async def serve(self, started: asyncio.Event) -> None:
        """Feed at half the interval that systemd asked for (sd_watchdog_enabled(3))."""
        interval = int(os.environ.get("WATCHDOG_USEC", "0")) / 2_000_000
        started.set()
        while True:
            notify("WATCHDOG=1")
            await asyncio.sleep(interval or 3600)
