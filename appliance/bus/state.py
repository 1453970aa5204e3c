"""State that outlives every node: typed key-value buckets on JetStream."""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Generic, TypeVar

import nats.errors
import nats.js.errors
from nats.js import JetStreamContext
from nats.js.kv import KeyValue
from pydantic import BaseModel

from appliance.bus.connection import Bus
from appliance.errors import ConflictError, NotFoundError, UnavailableError

M = TypeVar("M", bound=BaseModel)

_TIMEOUT_SECONDS = 5
_UPDATE_TRIES = 8


class Bucket(Generic[M]):
    """One bucket of `model`s by key. Keys: letters, digits, `-`, `_`, `=`, `/`, `.`."""

    def __init__(self, store: KeyValue, model: type[M]) -> None:
        self._store = store
        self._model = model

    @classmethod
    async def open(cls, bus: Bus, name: str, model: type[M], *, replicas: int = 1) -> "Bucket[M]":
        """Open the bucket `name`, made at first use. Raises UnavailableError without JetStream."""
        context: JetStreamContext = bus.client.jetstream(timeout=_TIMEOUT_SECONDS)
        with _unavailable(name):
            try:
                store = await context.key_value(name)
            except nats.js.errors.BucketNotFoundError:
                store = await context.create_key_value(bucket=name, history=1, replicas=replicas)
        return cls(store, model)

    async def get(self, key: str) -> M:
        """Raises NotFoundError where there is no `key`."""
        return (await self._entry(key))[0]

    async def _entry(self, key: str) -> tuple[M, int]:
        with _unavailable(key):
            try:
                entry = await self._store.get(key)
            except (nats.js.errors.KeyNotFoundError, nats.js.errors.InvalidKeyError):
                raise NotFoundError(f"{self._model.__name__} {key!r} does not exist") from None
        return self._model.model_validate_json(entry.value or b"{}"), entry.revision or 0

    async def put(self, key: str, value: M) -> None:
        """Write, whatever was there."""
        with _unavailable(key):
            await self._store.put(key, value.model_dump_json().encode())

    async def create(self, key: str, value: M) -> None:
        """Write a new key. Raises ConflictError where it exists."""
        with _unavailable(key):
            try:
                await self._store.create(key, value.model_dump_json().encode())
            except nats.js.errors.KeyWrongLastSequenceError:
                raise ConflictError(f"{self._model.__name__} {key!r} exists already") from None

    async def update(self, key: str, change: Callable[[M], M]) -> M:
        """Read, change and write back, again if somebody else wrote in between."""
        for _ in range(_UPDATE_TRIES):
            old, revision = await self._entry(key)
            new = change(old)
            if new == old:
                return old
            with _unavailable(key):
                try:
                    await self._store.update(key, new.model_dump_json().encode(), last=revision)
                except nats.js.errors.KeyWrongLastSequenceError:
                    continue
            return new
        raise ConflictError(f"{self._model.__name__} {key!r} changes too fast")

    async def delete(self, key: str) -> None:
        """Remove `key`; nothing happens where there is none."""
        with _unavailable(key), contextlib.suppress(nats.js.errors.KeyNotFoundError):
            await self._store.purge(key)

    async def items(self) -> AsyncIterator[tuple[str, M]]:
        """All entries as they stand now."""
        with _unavailable("*"):
            watcher = await self._store.watchall(ignore_deletes=True)
        try:
            while True:
                with _unavailable("*"):
                    entry = await watcher.updates(timeout=_TIMEOUT_SECONDS)  # type: ignore[no-untyped-call]
                if entry is None:
                    return
                if entry.value:
                    yield entry.key, self._model.model_validate_json(entry.value)
        finally:
            with contextlib.suppress(nats.errors.Error, OSError):
                await watcher.stop()  # type: ignore[no-untyped-call]


@contextlib.contextmanager
def _unavailable(what: str) -> Iterator[None]:
    try:
        yield
    except (nats.js.errors.KeyNotFoundError, nats.js.errors.KeyWrongLastSequenceError):
        raise
    except (nats.errors.Error, OSError, TimeoutError) as exc:
        raise UnavailableError(f"state: {what}: {exc or type(exc).__name__}") from exc
