"""What goes on in the background after a call was answered, and how it ended."""

import asyncio
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum

from appliance.errors import FanlightError, NotFoundError, UnavailableError

logger = logging.getLogger(__name__)

_KEPT = 200


class Progress(Enum):
    """Name and code of an operation's state."""

    RUNNING = ("Running", 103)
    SUCCESS = ("Success", 200)
    FAILURE = ("Failure", 400)


@dataclass(slots=True)
class Operation:
    """Times are unix times; `instances` are the ids of those that it is about."""

    description: str
    instances: list[str]
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    created_at: float = field(default_factory=time.time)
    updated_at: float = field(default_factory=time.time)
    progress: Progress = Progress.RUNNING
    error: str = ""
    warnings: Sequence[str] = ()
    """What of the call came to nothing, and why."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def wait(self, seconds: float | None) -> None:
        """Until it has ended, or `seconds` are over."""
        try:
            async with asyncio.timeout(seconds):
                await self.ended.wait()
        except TimeoutError:
            return


class Operations:
    """Runs operations and remembers the newest; `changed` is told of each beginning and end."""

    def __init__(self, changed: Callable[[Operation], None]) -> None:
        self._changed = changed
        self._known: dict[str, Operation] = {}
        self._group: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Run operations until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            await asyncio.get_running_loop().create_future()

    def begin(
        self,
        description: str,
        instances: list[str],
        work: Callable[[], Awaitable[None]],
        *,
        warnings: Sequence[str] = (),
    ) -> Operation:
        """Do `work` in the background; a FanlightError is how it failed. Raises UnavailableError."""
        if self._group is None:
            raise UnavailableError("operations do not run yet")
        operation = Operation(description, instances, warnings=warnings)
        self._forget_the_oldest()
        self._known[operation.id] = operation
        self._changed(operation)
        self._group.create_task(self._work(operation, work), name=description)
        return operation

    def list(self) -> list[Operation]:
        """All that are remembered, the oldest first."""
        return list(self._known.values())

    def get(self, operation: str) -> Operation:
        """Raises NotFoundError."""
        if found := self._known.get(operation):
            return found
        raise NotFoundError(f"operation {operation!r} does not exist")

    async def _work(self, operation: Operation, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
            operation.progress = Progress.SUCCESS
        except FanlightError as exc:
            operation.progress, operation.error = Progress.FAILURE, str(exc)
            logger.info("%s %s failed: %s", operation.description, ", ".join(operation.instances), exc)
        except Exception:
            operation.progress, operation.error = Progress.FAILURE, "internal error"
            logger.exception("%s %s failed", operation.description, ", ".join(operation.instances))
        operation.updated_at = time.time()
        operation.ended.set()
        self._changed(operation)

    def _forget_the_oldest(self) -> None:
        ended = [each.id for each in self._known.values() if each.ended.is_set()]
        for each in ended[: max(0, len(self._known) - _KEPT)]:
            del self._known[each]
