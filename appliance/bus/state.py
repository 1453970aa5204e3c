"""State that outlives every node: typed key-value buckets on JetStream."""

import contextlib
import logging
import re
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime
from typing import Generic, NamedTuple, TypeVar

import nats.js.errors
from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, Header, StreamConfig, StreamInfo
from nats.js.kv import KeyValue
from pydantic import BaseModel, ValidationError

from appliance.bus.connection import Bus, unavailable
from appliance.errors import ConflictError, InvalidInputError, NotFoundError, UnavailableError

logger = logging.getLogger(__name__)

M = TypeVar("M", bound=BaseModel)

_TIMEOUT_SECONDS = 5
_UPDATE_TRIES = 32
_CLUSTER = 3
_LISTING_TRIES = 5
_NOTHING = 0
"""The number of no message."""
_MISSING = (10043, 10057)
"""What a server says of a message that is not there, alone and in a cluster."""
_OUTRUN = (10071, 10158, 10164)
"""What it says to who replaces what somebody else has replaced, or is about to."""
_KEY = re.compile(r"[A-Za-z0-9_=-]+([/.][A-Za-z0-9_=-]+)*")


class _Version(NamedTuple):
    """When the bucket was made, the number of its last change, and how many entries it has."""

    made: datetime | None
    last: int
    entries: int


_NEVER = _Version(None, 0, 0)


class Bucket(Generic[M]):
    """One bucket of `model`s by key: words of letters, digits, `-`, `_` and `=`, joined by `.` or `/`.

    Every call raises UnavailableError while the bus is away.
    """

    def __init__(self, bus: Bus, name: str, store: KeyValue, model: type[M]) -> None:
        self._bus = bus
        self._name = name
        self._stream = f"KV_{name}"
        self._prefix = f"$KV.{name}."
        self._store = store
        self._model = model
        self.made_at = 0.0
        """Unix time, as of the last listing: what is older was in another one, which is lost."""
        self._seen = _NEVER
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
            if await self._replace(key, new, revision):
                return new
        raise ConflictError(f"{self._model.__name__} {key!r} changes too fast")

    async def _replace(self, key: str, value: M, revision: int) -> bool:
        """False where somebody else did so.

        In a cluster nats-server lets two through that replace the same at the same time (nats-server issue
        4320): so the second is named as if it were the first one once more.
        """
        headers = {
            Header.EXPECTED_LAST_SUBJECT_SEQUENCE.value: str(revision),
            Header.MSG_ID.value: f"after {revision}",
        }
        with unavailable(f"state: {key}"):
            try:
                receipt = await self._context.publish(
                    f"{self._prefix}{key}", value.model_dump_json().encode(), headers=headers
                )
            except nats.js.errors.APIError as exc:
                if exc.err_code not in _OUTRUN:
                    raise
                return False
        return not receipt.duplicate

    async def delete(self, key: str, *, only: M | None = None) -> bool:
        """Remove `key` without a trace, where it is still `only`; whether there is none any more.

        By its number: nats-server before 2.9.18 takes the purge of one subject for one of everything when it
        starts again in a cluster (nats-server issue 4196).
        """
        if not _KEY.fullmatch(key):
            return True
        await self._bus.ready()
        sure = False
        for _ in range(_UPDATE_TRIES):
            with unavailable(f"state: {key}"):
                try:
                    entry = await self._store.get(key)
                    if only is not None and self._read(entry) != only:
                        return False
                    if await self._delete(entry.revision or 0):
                        return True
                except nats.js.errors.KeyNotFoundError:
                    if sure:
                        return True
                    # A server that leads since a moment ago may not have all that was acknowledged before: it
                    # has once it has deleted anything, even what is not there.
                    await self._delete(_NOTHING)
                    sure = True
        raise ConflictError(f"{self._model.__name__} {key!r} changes too fast")

    async def _delete(self, number: int) -> bool:
        """False where it was changed or deleted in between."""
        try:
            return await self._context.delete_msg(self._stream, number)
        except nats.js.errors.APIError as exc:
            if exc.err_code not in _MISSING:
                raise
            return False

    async def items(self) -> AsyncIterator[tuple[str, M]]:
        """All entries as they stand now; unreadable ones are logged and left out."""
        await self._look()
        for each in self._parsed.items():
            yield each

    async def _look(self) -> None:
        """Several parts look every few seconds: only what has changed is read.

        From the server that leads: of the others one may lag behind, and show what was deleted. Raises
        UnavailableError where it stays incomplete: who takes what is not listed for gone would drop it.
        """
        version = await self._version()
        if version == self._seen:
            return
        self.made_at = version.made.timestamp() if version.made else 0.0
        known = version.made == self._seen.made and version.last >= self._seen.last
        raw, since = (self._raw, self._seen.last) if known else ({}, 0)
        for _ in range(_LISTING_TRIES):
            raw, since = raw | await self._read_newer(since, version.last), max(since, version.last)
            entries = version.entries
            if len(raw) != entries:
                version, there = await self._keys()
                raw, entries = {key: each for key, each in raw.items() if key in there}, len(there)
            if len(raw) == entries:
                self._parsed = dict(self._parse(raw))
                self._seen, self._raw = _Version(version.made, since, entries), raw
                return
        self._seen = _NEVER
        raise UnavailableError(f"state: {self._name}: not all that is there can be read")

    async def _version(self) -> "_Version":
        await self._bus.ready()
        with unavailable(f"state: {self._name}"):
            return _version_of(await self._context.stream_info(self._stream))

    async def _keys(self) -> "tuple[_Version, set[str]]":
        """The version with the keys that it has."""
        with unavailable(f"state: {self._name}"):
            info = await self._context.stream_info(self._stream, subjects_filter=f"{self._prefix}>")
        return _version_of(info), {each.removeprefix(self._prefix) for each in info.state.subjects or ()}

    async def _read_newer(self, since: int, last: int) -> dict[str, bytes]:
        """What was written after the number `since`."""
        found: dict[str, bytes] = {}
        with unavailable(f"state: {self._name}"), contextlib.suppress(nats.js.errors.NotFoundError):
            while since < last:
                message = await self._context.get_msg(self._stream, since + 1, subject=">", next=True)
                found[str(message.subject).removeprefix(self._prefix)] = message.data or b""
                since = message.seq or last
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

    @property
    def _context(self) -> JetStreamContext:
        return self._bus.client.jetstream(timeout=_TIMEOUT_SECONDS)


def _version_of(info: StreamInfo) -> _Version:
    return _Version(info.created, info.state.last_seq, info.state.messages)


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
