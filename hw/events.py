"""Devices that come and go, as udev tells."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pyudev

logger = logging.getLogger(__name__)

SUBSYSTEMS = ("drm", "sound", "input")
_QUIET_SECONDS = 0.2
_LONGEST_SECONDS = 1.0
_UDEVD_SOCKET = Path("/run/udev/control")


@dataclass(frozen=True, slots=True)
class DeviceEvent:
    """One device of `subsystem` was added, removed or changed."""

    action: str
    subsystem: str
    name: str
    node: str = ""


async def watch(started: asyncio.Event | None = None) -> AsyncIterator[tuple[DeviceEvent, ...]]:
    """Yield what happened, in order, once it is quiet for 200 ms; sets `started` when it listens.

    Without udevd the kernel's own events are taken; without libudev or netlink nothing ever happens.
    """
    try:
        monitor = await asyncio.to_thread(_open)
    except (ImportError, OSError) as exc:
        logger.warning("no hot-plug events: %s", exc)
        monitor = None
    loop = asyncio.get_running_loop()
    waiting: list[DeviceEvent] = []
    arrived = asyncio.Event()

    def read() -> None:
        for event in _drain(monitor):
            waiting.append(event)
            arrived.set()

    with contextlib.ExitStack() as stack:
        if monitor:
            loop.add_reader(monitor.fileno(), read)
            stack.callback(loop.remove_reader, monitor.fileno())
        if started:
            started.set()
        while True:
            await arrived.wait()
            latest = loop.time() + _LONGEST_SECONDS
            while arrived.is_set() and loop.time() < latest:
                arrived.clear()
                await asyncio.sleep(_QUIET_SECONDS)
            arrived.clear()
            batch = tuple(dict.fromkeys(waiting))
            waiting.clear()
            yield batch


def _open() -> pyudev.Monitor:
    # Where no udevd runs, nobody sends on udev's own netlink group.
    source = "udev" if _UDEVD_SOCKET.exists() else "kernel"
    monitor = pyudev.Monitor.from_netlink(pyudev.Context(), source)
    for subsystem in SUBSYSTEMS:
        monitor.filter_by(subsystem)
    monitor.start()
    logger.debug("listening to %s events", source)
    return monitor


def _drain(monitor: pyudev.Monitor) -> list[DeviceEvent]:
    events = []
    try:
        while device := monitor.poll(timeout=0):
            events.append(
                DeviceEvent(
                    device.action or "change",
                    device.subsystem or "",
                    device.sys_name,
                    device.device_node or "",
                )
            )
    except OSError as exc:
        # ENOBUFS: more happened than the socket holds; whoever listens looks at everything again.
        logger.warning("device events were lost: %s", exc)
        events.append(DeviceEvent("change", "drm", ""))
    return events
