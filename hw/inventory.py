"""What this machine has, taken as a whole, and kept true while devices come and go."""

import asyncio
import contextlib
import logging
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hw import displays, events
from hw.displays import Display, list_displays
from hw.encoders import SESSIONS_TAKEN, Candidate, EncoderProbe, candidates, failed, probe_encoders
from hw.gpus import Gpu, list_gpus

logger = logging.getLogger(__name__)

_DISPLAYS_SECONDS = 5.0
_RETRY_SECONDS = 30.0
NOT_TRIED = "it could not be tried"
"""How the detail of a probe begins where the machine had no room for it."""


@dataclass(frozen=True, slots=True)
class Inventory:
    """The hardware that matters for streaming."""

    gpus: tuple[Gpu, ...] = ()
    encoders: tuple[EncoderProbe, ...] = ()
    displays: tuple[Display, ...] = ()
    reason: str = ""
    """Why encoding is done as it is, for people."""


class ProbeCache:
    """Remembers encoder probes for as long as GPUs and drivers stay the same."""

    def __init__(self) -> None:
        self._key: tuple[object, ...] = ()
        self._probes: dict[Candidate, EncoderProbe] = {}
        self.known = False
        """Whether the last answer holds until something changes."""

    async def probe(self, gpus: tuple[Gpu, ...]) -> tuple[EncoderProbe, ...]:
        """What probe_encoders() says of `gpus`, tried again only where something changed, or may have."""
        key = (gpus, *(await asyncio.to_thread(_driver_versions, gpus)))
        if key != self._key:
            self._key, self._probes = key, {}
        tries = candidates(gpus)
        untried = [each for each in tries if each not in self._probes]
        try:
            found = await probe_encoders(untried)
        except OSError as exc:
            found = tuple(failed(each, f"{NOT_TRIED}: {exc}") for each in untried)
        answers = self._probes | dict(zip(untried, found, strict=True))
        self._probes = {each: answers[each] for each in _lasting(answers)}
        self.known = len(self._probes) == len(answers)
        return tuple(answers[each] for each in tries)

    def forget(self) -> None:
        """Try everything again next time."""
        self._key = ()


def _lasting(answers: Mapping[Candidate, EncoderProbe]) -> Iterator[Candidate]:
    """All but failures of the moment: there was no room to try, or others have all sessions of the GPU."""
    full = {each.render_node for each in answers.values() if SESSIONS_TAKEN in each.detail}
    for candidate, probe in answers.items():
        busy = probe.hardware and probe.render_node in full
        if probe.works or not (busy or probe.detail.startswith(NOT_TRIED)):
            yield candidate


async def take_inventory(cache: ProbeCache | None = None) -> Inventory:
    """Look at everything, encoding a frame on every encoder that `cache` does not know."""
    gpus = await asyncio.to_thread(list_gpus)
    async with asyncio.TaskGroup() as group:
        probing = group.create_task((cache or ProbeCache()).probe(gpus))
        looking = group.create_task(list_displays())
    encoders = probing.result()
    return Inventory(gpus, encoders, looking.result(), _reason(gpus, encoders))


class HardwareMonitor:
    """A service that keeps the inventory true; `inventory` is valid once started."""

    def __init__(self) -> None:
        self.inventory = Inventory()
        self._cache = ProbeCache()
        self._listeners: set[Callable[[Inventory], None]] = set()
        self._stale = asyncio.Event()

    @contextlib.contextmanager
    def subscribe(self, changed: Callable[[Inventory], None]) -> Iterator[None]:
        """Call `changed` in the event loop with every new inventory, until the context ends."""
        self._listeners.add(changed)
        try:
            yield
        finally:
            self._listeners.discard(changed)

    def refresh(self) -> None:
        """Look at everything again, encoders included, as after a driver was installed."""
        self._cache.forget()
        self._stale.set()

    async def serve(self, started: asyncio.Event) -> None:
        """Take the inventory, then again on every event, until cancelled."""
        listening = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow_devices(listening), name="devices")
            group.create_task(self._follow_displays(), name="displays")
            await listening.wait()
            while True:
                self._stale.clear()
                if started.is_set():
                    self._publish(_awaiting_probes(self.inventory, await asyncio.to_thread(list_gpus)))
                self._publish(await take_inventory(self._cache))
                started.set()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(None if self._cache.known else _RETRY_SECONDS):
                        await self._stale.wait()

    async def _follow_devices(self, listening: asyncio.Event) -> None:
        async for batch in events.watch(listening):
            for event in batch:
                logger.info("%s %s %s", event.subsystem, event.name, event.action)
            if any(event.subsystem == "drm" for event in batch):
                self._stale.set()

    async def _follow_displays(self) -> None:
        """X and Wayland sockets announce themselves nowhere: look whether one came or went."""
        known = await asyncio.to_thread(displays.fingerprint)
        while True:
            await asyncio.sleep(_DISPLAYS_SECONDS)
            found = await asyncio.to_thread(displays.fingerprint)
            if found != known:
                known = found
                self._stale.set()

    def _publish(self, inventory: Inventory) -> None:
        if inventory == self.inventory:
            return
        if inventory.reason != self.inventory.reason:
            logger.info("hardware: %s", inventory.reason)
        self.inventory = inventory
        for changed in tuple(self._listeners):
            changed(inventory)


def _awaiting_probes(known: Inventory, gpus: tuple[Gpu, ...]) -> Inventory:
    """What is certain at once: `gpus`, and those encoders whose GPU is still there."""
    nodes = {gpu.render_node for gpu in gpus}
    encoders = tuple(each for each in known.encoders if not each.hardware or each.render_node in nodes)
    if new := [gpu.name for gpu in gpus if gpu not in known.gpus]:
        reason = f"trying the encoders of {', '.join(new)}"
    else:
        reason = _reason(gpus, encoders)
    return replace(known, gpus=gpus, encoders=encoders, reason=reason)


def why_no_hardware(gpus: Sequence[Gpu], encoders: Sequence[EncoderProbe]) -> str:
    """The exact cause where no hardware encoder works: no GPU, no driver, or what each attempt said."""
    if not gpus:
        return "no GPU on this machine"
    if failures := [
        f"{probe.name}: {probe.detail}" for probe in encoders if probe.hardware and not probe.works
    ]:
        names = ", ".join(gpu.name for gpu in gpus)
        return f"no encoder of {names} works: {'; '.join(dict.fromkeys(failures))}"
    if without := [gpu.name for gpu in gpus if not gpu.driver]:
        return f"no driver for {', '.join(without)}"
    return f"{', '.join(gpu.name for gpu in gpus)}: no render node, so no encoder"


def _reason(gpus: Sequence[Gpu], encoders: Sequence[EncoderProbe]) -> str:
    if working := next((probe for probe in encoders if probe.hardware and probe.works), None):
        gpu = next((gpu for gpu in gpus if gpu.render_node == working.render_node), None)
        return f"encoding with {working.name}" + (f" on {gpu.name}" if gpu else "")
    if any(probe.works for probe in encoders):
        return f"{why_no_hardware(gpus, encoders)}: encoding in software"
    return "no encoder works: " + "; ".join(f"{probe.name}: {probe.detail}" for probe in encoders)


def _driver_versions(gpus: Sequence[Gpu]) -> list[str]:
    """Kernel release, and the version of each driver module that tells one."""
    versions = [platform.release()]
    for driver in sorted({gpu.driver for gpu in gpus if gpu.driver}):
        with contextlib.suppress(OSError):
            versions.append(Path(f"/sys/module/{driver}/version").read_text(encoding="utf-8").strip())
    return versions
