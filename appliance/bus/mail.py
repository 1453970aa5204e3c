"""Messages that wait for their reader in the memory of the bus: in order, and not for long."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Generic, TypeVar

import nats.errors
import nats.js.errors
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, Header, StorageType, StreamConfig
from pydantic import BaseModel, ValidationError

from appliance.bus.connection import Bus, heeding_cancellation, unavailable
from appliance.errors import UnavailableError

logger = logging.getLogger(__name__)

M = TypeVar("M", bound=BaseModel)

_TIMEOUT_SECONDS = 5
_READER_SECONDS = 30.0
"""The server forgets a reader that has been away for so long."""
OF_ONE_SENDER = 128
"""Letters at most; older ones make room."""
BYTES = 64 << 20
"""Of all letters; the oldest make room."""
_QUIET_SECONDS = 10.0
_UNREAD_BYTES = 4 << 20
"""What a reader that does not keep up may have in our memory; it misses what is more."""


@dataclass(frozen=True, slots=True)
class Letter(Generic[M]):
    """A message as it lies there."""

    subject: str
    number: int
    """Letters are numbered in the order in which they came, whatever their subject."""
    at: float
    """When it came, by the clock of the server; unix time."""
    content: M


class Mail(Generic[M]):
    """Letters of `model` under `subjects`, `max_age_s` at most; they do not outlive the server.

    Every call raises UnavailableError while the bus is away.
    """

    def __init__(
        self, bus: Bus, name: str, subjects: str, model: type[M], *, max_age_s: int, replicas: int = 1
    ) -> None:
        self._bus = bus
        self._model = model
        self._config = StreamConfig(
            name=name,
            subjects=[subjects],
            storage=StorageType.MEMORY,
            max_age=max_age_s,
            max_bytes=BYTES,
            max_msgs_per_subject=OF_ONE_SENDER,
            num_replicas=replicas,
        )
        self._epoch = 0
        self._making = asyncio.Lock()
        """Two who make it at once would claim its bytes twice, for a moment."""

    async def post(self, subject: str, content: M, *, once: str = "") -> int:
        """The number of the letter.

        Who did not hear that it was posted may post it again: with the same word for `once` it is still one.
        """
        data = content.model_dump_json().encode()
        headers = {Header.MSG_ID.value: once} if once else None
        await self._ready()
        with unavailable(f"mail: {subject}"):
            try:
                receipt = await self._context.publish(subject, data, headers=headers)
            except nats.js.errors.NoStreamResponseError:
                self._epoch = 0  # the server started again, and we know before we were told
                await self._ready()
                receipt = await self._context.publish(subject, data, headers=headers)
        return receipt.seq

    async def drop(self, subject: str, through: int | None = None) -> None:
        """Forget the letters under `subject`, up to this number where there is one.

        Never without a number: nats-server before 2.9.18 takes that for all letters when it starts again in a
        cluster (nats-server issue 4196).
        """
        await self._ready()
        name = str(self._config.name)
        with unavailable(f"mail: {subject}"):
            if through is None:
                through = (await self._context.stream_info(name)).state.last_seq
            await self._context.purge_stream(name, seq=through + 1, subject=subject)

    @contextlib.asynccontextmanager
    async def read(self, subject: str) -> AsyncIterator[AsyncIterator[Letter[M]]]:
        """Yield an endless iterator of what lies under `subject` and what is still to come.

        Whoever reads must begin anew when the bus was away: nothing tells what was missed.
        """
        await self._ready()
        with unavailable(f"mail: {subject}"):
            subscription = await self._context.subscribe(
                subject,
                stream=self._config.name,
                config=ConsumerConfig(
                    deliver_policy=DeliverPolicy.ALL,
                    ack_policy=AckPolicy.NONE,
                    inactive_threshold=_READER_SECONDS,
                    mem_storage=True,
                ),
                pending_bytes_limit=_UNREAD_BYTES,
            )
        try:
            yield self._letters(subscription)
        finally:
            with contextlib.suppress(nats.errors.Error):
                await subscription.unsubscribe()

    async def _letters(self, subscription: JetStreamContext.PushSubscription) -> AsyncIterator[Letter[M]]:
        async for each in _heard(subscription):
            try:
                content = self._model.model_validate_json(each.data)
            except ValidationError as exc:
                logger.warning("mail: %s is not readable: %s", each.subject, exc)
                continue
            about = each.metadata
            yield Letter(each.subject, about.sequence.stream, about.timestamp.timestamp(), content)

    async def _ready(self) -> None:
        """The server forgets all of this when it starts again."""
        await self._bus.ready()
        if self._epoch == self._bus.epoch:
            return
        async with self._making:
            epoch = self._bus.epoch
            if self._epoch != epoch:
                with unavailable(f"mail: {self._config.name}"):
                    try:
                        await self._context.stream_info(str(self._config.name))
                    except nats.js.errors.NotFoundError:
                        await self._context.add_stream(self._config)
                self._epoch = epoch

    @property
    def _context(self) -> JetStreamContext:
        return self._bus.client.jetstream(timeout=_TIMEOUT_SECONDS)


async def _heard(subscription: JetStreamContext.PushSubscription) -> AsyncIterator[Msg]:
    """The server that keeps the place of a reader may die while we are connected to another one."""
    try:
        while True:
            with heeding_cancellation():
                try:
                    letter = await subscription.next_msg(_QUIET_SECONDS)
                except nats.errors.TimeoutError:
                    await subscription.consumer_info()
                    continue
            yield letter
    except nats.errors.Error as exc:
        raise UnavailableError(f"mail: {exc or type(exc).__name__}") from exc
