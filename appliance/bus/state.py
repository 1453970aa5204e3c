"""State that outlives every node: typed key-value buckets on JetStream."""

import contextlib
import logging
import re
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Generic, TypeVar

import nats.errors
import nats.js.errors
from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, StreamConfig
from nats.js.kv import KeyValue
from pydantic import BaseModel, ValidationError

from appliance.bus.connection import Bus, unavailable
from appliance.errors import ConflictError, InvalidInputError, NotFoundError, UnavailableError

logger = logging.getLogger(__name__)

M = TypeVar("M", bound=BaseModel)

_TIMEOUT_SECONDS = 5
_SNAPSHOT_SECONDS = 1.0
_UPDATE_TRIES = 8
_CLUSTER = 3
_FEW_CHANGES = 50
_LISTING_TRIES = 5
_NEVER = (None, 0, 0)
_MISSING = (10043, 10057)
"""What a server says of a message that is not there, alone and in a cluster."""
_KEY = re.compile(r"[A-Za-z0-9_=-]+([/.][A-Za-z0-9_=-]+)*")


class Bucket(Generic[M]):
    """One bucket of `model`s by key: words of letters, digits, `-`, `_` and `=`, joined by `.` or `/`.

    Every call raises UnavailableError while the bus is away.
    """

    def __init__(self, bus: Bus, name: str, store: KeyValue, model: type[M]) -> None:
        self._bus = bus
        self._name = name
        self._store = store
        self._model = model
        self._seen: tuple[object, int, int] = _NEVER
        """The stream before the last snapshot: when it was made, its last number, how many entries it had."""
        self._raw: dict[str, bytes] = {}
        self._parsed: dict[str, M] = {}

    @classmethod
    async def open(cls, bus: Bus, name: str, model: type[M]) -> "Bucket[M]":
        """Open the bucket `name`, made at first use. Raises UnavailableError without JetStream."""
        copies = copies_on(bus)
        await bus.ready()
        context: JetStreamContext = bus.client.jetstream(timeout=_TIMEOUT_SECONDS)
        with unavailable(f"state: {name}"):
            try:
                await _spread(context, name, copies)
            except nats.js.errors.NotFoundError:
                await context.add_stream(_stream(name, copies))
            store = await context.key_value(name)
        return cls(bus, name, store, model)

    async def get(self, key: str) -> M:
        """Raises NotFoundError where there is no `key`."""
        return (await self._entry(key))[0]

    async def _entry(self, key: str) -> tuple[M, int]:
        missing = NotFoundError(f"{self._model.__name__} {key!r} does not exist")
        if not _KEY.fullmatch(key):
            raise missing
        await self._bus.ready()
        with unavailable(f"state: {key}"):
            try:
                entry = await self._store.get(key)
            except nats.js.errors.KeyNotFoundError:
                raise missing from None
        return self._read(entry), entry.revision or 0

    def _read(self, entry: KeyValue.Entry) -> M:
        try:
            return self._model.model_validate_json(entry.value or b"{}")
        except ValidationError as exc:
            raise UnavailableError(f"state: {self._name}/{entry.key} is not readable: {exc}") from exc

    async def put(self, key: str, value: M) -> None:
        """Write, whatever was there. Raises InvalidInputError for a bad key."""
        await self._writable(key)
        with unavailable(f"state: {key}"):
            await self._store.put(key, value.model_dump_json().encode())

    async def create(self, key: str, value: M) -> None:
        """Write a new key. Raises ConflictError where it exists, InvalidInputError for a bad key."""
        await self._writable(key)
        with unavailable(f"state: {key}"):
            try:
                await self._store.create(key, value.model_dump_json().encode())
            except nats.js.errors.KeyWrongLastSequenceError:
                raise ConflictError(f"{self._model.__name__} {key!r} exists already") from None

    async def _writable(self, key: str) -> None:
        if not _KEY.fullmatch(key):
            raise InvalidInputError(f"{self._model.__name__}: {key!r} cannot be a name here")
        await self._bus.ready()

    async def update(self, key: str, change: Callable[[M], M]) -> M:
        """Read, change and write back, again if somebody else wrote in between. Raises NotFoundError."""
        for _ in range(_UPDATE_TRIES):
            old, revision = await self._entry(key)
            new = change(old)
            if new == old:
                return old
            with unavailable(f"state: {key}"):
                try:
                    await self._store.update(key, new.model_dump_json().encode(), last=revision)
                except nats.js.errors.KeyWrongLastSequenceError:
                    continue
            return new
        raise ConflictError(f"{self._model.__name__} {key!r} changes too fast")

    async def delete(self, key: str, *, only: M | None = None) -> bool:
        """Remove `key` without a trace, where it is still `only`; whether there is none any more.

        By its number: nats-server before 2.9.18 takes the purge of one subject for one of everything when it
        starts again in a cluster (nats-server issue 4196).
        """
        if not _KEY.fullmatch(key):
            return True
        await self._bus.ready()
        context: JetStreamContext = self._bus.client.jetstream(timeout=_TIMEOUT_SECONDS)
        for _ in range(_UPDATE_TRIES):
            with unavailable(f"state: {key}"):
                try:
                    entry = await self._store.get(key)
                    if only is not None and self._read(entry) != only:
                        return False
                    await context.delete_msg(f"KV_{self._name}", entry.revision or 0)
                except nats.js.errors.KeyNotFoundError:
                    return True
                except nats.js.errors.APIError as exc:
                    if exc.err_code not in _MISSING:  # else it was changed or deleted in between
                        raise
                    continue
            return True
        raise ConflictError(f"{self._model.__name__} {key!r} changes too fast")

    async def items(self) -> AsyncIterator[tuple[str, M]]:
        """All entries as they stand now; unreadable ones are logged and left out."""
        await self._look()
        for each in self._parsed.items():
            yield each

    async def _look(self) -> None:
        """Several parts look every few seconds, and a listing costs the server a consumer.

        Raises UnavailableError where it stays incomplete, as while a server that was away catches up: who
        takes what is not listed for gone would drop what is there.
        """
        for _ in range(_LISTING_TRIES):
            version = await self._version()
            if version == self._seen:
                return
            if self._few(version):
                raw = await self._read_changes(*version[1:])
            else:
                raw = await self._read_all(version[2])
            complete = len(raw) >= version[2]
            if complete or len(raw) >= (await self._version())[2]:
                self._parsed = dict(self._parse(raw))
                self._seen, self._raw = (version if complete else _NEVER), raw
                return
            self._seen = _NEVER
        raise UnavailableError(f"state: {self._name}: not all that is there can be read")

    async def _version(self) -> tuple[object, int, int]:
        """Which bucket it is, the number of its last change, and how many entries it has."""
        await self._bus.ready()
        context: JetStreamContext = self._bus.client.jetstream(timeout=_TIMEOUT_SECONDS)
        with unavailable(f"state: {self._name}"):
            stream = await context.stream_info(f"KV_{self._name}")
        return stream.created, stream.state.last_seq, stream.state.messages

    def _few(self, version: tuple[object, int, int]) -> bool:
        """Whether it is less work to ask for what has changed, one by one."""
        return version[0] == self._seen[0] and 0 <= version[1] - self._seen[1] <= _FEW_CHANGES

    async def _read_changes(self, last: int, entries: int) -> dict[str, bytes]:
        found, prefix = dict(self._raw), f"$KV.{self._name}."
        context: JetStreamContext = self._bus.client.jetstream(timeout=_TIMEOUT_SECONDS)
        with unavailable(f"state: {self._name}"):
            for number in range(self._seen[1] + 1, last + 1):
                with contextlib.suppress(nats.js.errors.NotFoundError):  # it was changed again, or deleted
                    message = await context.get_msg(f"KV_{self._name}", number)
                    found[str(message.subject).removeprefix(prefix)] = message.data or b""
            if len(found) != entries:
                stream = await context.stream_info(f"KV_{self._name}", subjects_filter=f"{prefix}>")
                there = stream.state.subjects or {}
                found = {key: raw for key, raw in found.items() if prefix + key in there}
        return found

    def _parse(self, found: dict[str, bytes]) -> Iterator[tuple[str, M]]:
        """What has changed; the rest stands as it was."""
        for key, raw in found.items():
            if key in self._parsed and self._raw[key] == raw:
                yield key, self._parsed[key]
                continue
            try:
                yield key, self._model.model_validate_json(raw)
            except ValidationError as exc:
                logger.warning("state: %s/%s is not readable: %s", self._name, key, exc)

    async def _read_all(self, entries: int) -> dict[str, bytes]:
        for last_try in (False, False, True):
            await self._bus.ready()
            with unavailable(f"state: {self._name}"):
                try:
                    found = await self._list()
                except nats.errors.TimeoutError:
                    # The end mark never comes where the last entry is deleted while it is on its way.
                    if last_try:
                        raise
                else:
                    # The end mark comes early where the entries outran the answer to how many there are.
                    if len(found) >= entries or last_try:
                        return found
        raise AssertionError

    async def _list(self) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        watcher = await self._store.watchall(ignore_deletes=True, inactive_threshold=_TIMEOUT_SECONDS)
        try:
            while entry := await watcher.updates(timeout=_SNAPSHOT_SECONDS):
                found[entry.key] = entry.value or b""
        finally:
            with contextlib.suppress(nats.errors.Error, OSError):
                await watcher.stop()
        return found


def copies_on(bus: Bus) -> int:
    """How many servers keep each bucket: three where the cluster has as many."""
    return _CLUSTER if len(bus.client.servers) >= _CLUSTER else 1


def _stream(name: str, copies: int) -> StreamConfig:
    """A bucket as NATS ADR-8 has it, but that its entries may be deleted one by one."""
    return StreamConfig(
        name=f"KV_{name}",
        subjects=[f"$KV.{name}.>"],
        discard=DiscardPolicy.NEW,
        max_msgs_per_subject=1,
        num_replicas=copies,
    )


async def _spread(context: JetStreamContext, name: str, copies: int) -> None:
    """A bucket that is older than the cluster gets its copies."""
    config = (await context.stream_info(f"KV_{name}")).config
    if (config.num_replicas or 1) < copies:
        logger.info("state: %s is kept by %d servers from now on", name, copies)
        await context.update_stream(config.evolve(num_replicas=copies))
