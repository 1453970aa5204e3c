"""What happens to instances and operations, told to everybody who listens."""

import asyncio
import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Literal

EventType = Literal["lifecycle", "operation"]
_BEHIND_MAX = 256


class Listener:
    """One who listens; `next` returns None when it was too slow, and gets nothing from then on."""

    def __init__(self, types: frozenset[str]) -> None:
        self.types = types
        self._waiting: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._dropped = False

    async def next(self) -> dict[str, Any] | None:
        """The next event."""
        return await self._waiting.get()

    def offer(self, event: dict[str, Any]) -> None:
        """A listener that is behind is sent away, so that nobody misses a part without knowing."""
        if self._dropped:
            return
        self._dropped = self._waiting.qsize() >= _BEHIND_MAX
        self._waiting.put_nowait(None if self._dropped else event)

    def dismiss(self) -> None:
        """Nothing more will come."""
        self._dropped = True
        self._waiting.put_nowait(None)


class Events:
    """Fans events out."""

    def __init__(self) -> None:
        self._listeners: set[Listener] = set()

    @contextlib.contextmanager
    def listen(self, types: frozenset[str]) -> Iterator[Listener]:
        """From now on until the context ends, those of `types`."""
        listener = Listener(types)
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)

    def tell(self, kind: EventType, metadata: Any) -> None:
        """Tell all who asked for `kind`; waits for nobody."""
        event = {"type": kind, "timestamp": datetime.now(UTC).isoformat(), "metadata": metadata}
        for listener in self._listeners:
            if kind in listener.types:
                listener.offer(event)

    def dismiss_all(self) -> None:
        """The server goes away."""
        for listener in self._listeners:
            listener.dismiss()
