"""Every instance of the box from created to deleted; the manager knows only those that run."""

import asyncio
import contextlib
import time
from dataclasses import dataclass, field

from appliance.ams.events import Events
from appliance.errors import ConflictError, FanlightError, LimitExceededError, NoCapacityError, NotFoundError
from appliance.instances.idle import IdlePolicy
from appliance.instances.instance import Instance, Wish
from appliance.instances.manager import InstanceManager

INSTANCES = "/1.0/instances"
NO_NODE = "No suitable node to satisfy instance requirement available"
_REMEMBERED_MAX = 2000
_STOPPED = "stopped by a client of the API"
STATUS_CODES = {
    "error": -1, "unknown": 0, "created": 1, "prepared": 2, "started": 3, "running": 4, "stopped": 5,
    "deleted": 6,
}  # fmt: skip


@dataclass(slots=True)
class Entry:
    """One instance. `instance` is what the manager last ran for it; None before its first start."""

    id: str
    name: str
    application: str
    wish: Wish
    tags: tuple[str, ...] = ()
    idle_minutes: int | None = None
    ephemeral: bool = False
    """Deleted once it has stopped; kept where it failed."""
    guest: bool = False
    """Started by others: a session, the box itself, its command line. It is here while it runs."""
    created_at: float = field(default_factory=time.time)
    instance: Instance | None = None
    fault: str = ""
    """Why it could not be started."""
    doomed: bool = False
    """It is on its way out."""
    busy: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def running(self) -> bool:
        """Whether the manager has it."""
        return self.instance is not None and not self.instance.ended.is_set()

    @property
    def status(self) -> str:
        """A word of STATUS_CODES."""
        if self.doomed:
            return "deleted"
        if self.fault:
            return "error"
        return self.instance.state.value if self.instance else "created"

    @property
    def detail(self) -> str:
        """Why it is as it is, where there is something to say."""
        return self.fault or (self.instance.detail if self.instance else "")

    @property
    def over(self) -> bool:
        """Whether nothing of it is to be remembered."""
        if self.running:
            return False
        ended = self.instance is not None
        deleted = self.doomed and not self.busy.locked()  # what starts now is still to be stopped
        return deleted or (self.guest and ended) or (self.ephemeral and self.status == "stopped")


class Roster:
    """Creates, starts, stops and deletes instances, and tells of every change of their states."""

    def __init__(self, manager: InstanceManager, events: Events) -> None:
        self._manager = manager
        self._events = events
        self._entries: dict[str, Entry] = {}
        self._told: dict[str, str] = {}

    def create(self, entry: Entry) -> None:
        """Take it in; nothing runs yet.

        Raises NotFoundError (application), ConflictError (name), LimitExceededError.
        """
        if entry.application not in (each.name for each in self._manager.applications()):
            raise NotFoundError(f"application {entry.application!r} does not exist")
        if entry.name in (each.name for each in self._entries.values()):
            raise ConflictError(f"instance {entry.name!r} exists already")
        if len(self._entries) >= _REMEMBERED_MAX:
            raise LimitExceededError(f"there are {_REMEMBERED_MAX} instances: delete some")
        self._entries[entry.id] = entry
        self.changed()

    def list(self) -> list[Entry]:
        """The oldest first."""
        return sorted(self._entries.values(), key=lambda each: each.created_at)

    def get(self, wanted: str) -> Entry:
        """By id or name. Raises NotFoundError."""
        for entry in self._entries.values():
            if wanted in (entry.id, entry.name):
                return entry
        raise NotFoundError(f"instance {wanted!r} does not exist")

    async def start(self, entry: Entry) -> None:
        """Have it run: admitted, with its session, on its way up. Raises FanlightError."""
        async with entry.busy:
            if entry.running or entry.doomed:
                return
            entry.fault = ""
            idle = None if entry.idle_minutes is None else IdlePolicy(entry.idle_minutes)
            try:
                await self._manager.launch(entry.application, entry.wish, instance_id=entry.id, idle=idle)
            except NoCapacityError as exc:
                entry.fault = f"{NO_NODE}: {exc}"
                self.changed()
                raise NoCapacityError(NO_NODE) from exc
            except FanlightError as exc:
                entry.fault = str(exc)
                self.changed()
                raise

    async def stop(self, entry: Entry) -> None:
        """Have it not run, but remember it."""
        async with entry.busy:
            await self._end(entry, wait=True)

    async def delete(self, entry: Entry, *, force: bool) -> None:
        """Stop it for good, and forget its logs; `force`: without waiting for it to end, so not those."""
        entry.doomed = True
        self.changed()
        async with entry.busy:
            await self._end(entry, wait=not force)
        if not force:
            await self._manager.logbook.forget(entry.id)
        self.changed()

    async def _end(self, entry: Entry, *, wait: bool) -> None:
        if entry.instance is None or not entry.running:
            return
        with contextlib.suppress(NotFoundError):  # it is ending by itself
            await self._manager.stop(entry.id, _STOPPED)
        if wait:
            await entry.instance.ended.wait()

    def changed(self) -> None:
        """Look at what runs, forget what is over, and tell what is different."""
        for instance in self._manager.instances.values():
            entry = self._entries.setdefault(instance.id, _guest(instance))
            entry.instance = instance
        self._entries = {key: entry for key, entry in self._entries.items() if not entry.over}
        now = {key: entry.status for key, entry in self._entries.items()}
        gone = {key: "deleted" for key in self._told if key not in now}
        for key, status in {**now, **gone}.items():
            if status != self._told.get(key):
                action = {"action": f"instance-{status}", "source": f"{INSTANCES}/{key}"}
                self._events.tell("lifecycle", action)
        self._told = now


def _guest(instance: Instance) -> Entry:
    return Entry(
        instance.id,
        instance.application.name,
        instance.application.name,
        instance.wish,
        guest=True,
        created_at=instance.created_at,
    )
