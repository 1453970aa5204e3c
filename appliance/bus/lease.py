"""Who does what must happen once: one node holds a lease in a bucket whose entries expire by themselves."""

import asyncio
import logging
import secrets
import time

import nats.errors
import nats.js.errors
from nats.js import JetStreamContext
from nats.js.api import StorageType
from nats.js.kv import KeyValue

from appliance.bus.connection import Bus, heeding_cancellation
from appliance.bus.state import copies_on
from appliance.errors import FanlightError

logger = logging.getLogger(__name__)

LEASE_SECONDS = 5.0
_BUCKET = "leases"
_TIMEOUT_SECONDS = 2.0
_ROUNDS = 4
"""So often within the time of a lease it is renewed, or tried for."""


class Lease:
    """The lease `name`. It ends by our own clock before the bus would give it to another."""

    def __init__(self, bus: Bus, name: str, *, seconds: float = LEASE_SECONDS) -> None:
        self._bus = bus
        self._name = name
        self._seconds = seconds
        self._node = secrets.token_hex(8)
        self._revision: int | None = None
        self._until = 0.0

    @property
    def held(self) -> bool:
        """Whether this node is the one, right now."""
        return time.monotonic() < self._until

    async def serve(self) -> None:
        """Try for the lease and renew it until cancelled; then give it back."""
        store: KeyValue | None = None
        try:
            while True:
                try:
                    with heeding_cancellation():
                        store = store or await self._open()
                        await self._round(store)
                except nats.js.errors.NoStreamResponseError:  # the memory of its servers is gone
                    store, self._revision, self._until = None, None, 0.0
                except (nats.errors.Error, FanlightError, OSError, TimeoutError) as exc:
                    logger.debug("lease %s: %s", self._name, exc or type(exc).__name__)
                await asyncio.sleep(self._seconds / _ROUNDS)
        finally:
            if store and self._until:
                await self._give_back(store)

    async def _open(self) -> KeyValue:
        await self._bus.ready()
        context: JetStreamContext = self._bus.client.jetstream(timeout=_TIMEOUT_SECONDS)
        try:
            return await context.key_value(_BUCKET)
        except nats.js.errors.BucketNotFoundError:
            return await context.create_key_value(
                bucket=_BUCKET,
                history=1,
                ttl=self._seconds,
                storage=StorageType.MEMORY,  # a disk need not remember who it was
                replicas=copies_on(self._bus),
            )

    async def _round(self, store: KeyValue) -> None:
        asked = time.monotonic()
        try:
            if self._revision is None:
                self._revision = await store.create(self._name, self._node.encode())
                logger.info("this node looks after %s", self._name)
            else:
                self._revision = await store.update(self._name, self._node.encode(), last=self._revision)
        except nats.js.errors.KeyWrongLastSequenceError:
            self._revision, self._until = None, 0.0
        else:
            self._until = asked + self._seconds * (1 - 1 / _ROUNDS)

    async def _give_back(self, store: KeyValue) -> None:
        held, self._until = self.held, 0.0
        if held and self._bus.connected:
            try:
                await store.delete(self._name, last=self._revision)
            except (nats.errors.Error, OSError) as exc:
                logger.debug("lease %s: not given back: %s", self._name, exc or type(exc).__name__)
