"""The socket of a master or viewer of a channel whose master is a client too."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable

from aiohttp import WSCloseCode

from appliance.bus.channel_messages import ChannelDeleted
from appliance.bus.connection import Bus
from appliance.bus.subjects import deleted
from appliance.errors import UnavailableError
from appliance.gateway.kinesis.channels import Channel, Channels
from appliance.gateway.kinesis.errors import ResourceNotFoundError
from appliance.gateway.kinesis.lifetime import Lifetime
from appliance.gateway.kinesis.mailbox import Mailbox
from appliance.gateway.kinesis.quotas import Intake
from appliance.gateway.metrics import Metrics
from appliance.gateway.relay import BUS_PATIENCE_SECONDS
from appliance.gateway.tokens import new_id
from appliance.signaling import kinesis
from appliance.signaling.kinesis import Action, Delivery, Refused, Request

logger = logging.getLogger(__name__)

_AGAIN_SECONDS = 0.2


class Line:
    """Lives as long as the socket. `leave` is called when a newer connection of this client takes over.

    The old socket stays open then: clients that open theirs again at once would take over from each other
    for ever.
    """

    session = ""

    def __init__(
        self,
        life: Lifetime,
        peer: str,
        bus: Bus,
        channel: Channel,
        channels: Channels,
        mailbox: Mailbox,
        intake: Intake,
        metrics: Metrics,
        leave: Callable[[], None],
    ) -> None:
        self.peer = peer
        self._life = life
        self._ws = life.ws
        self._bus = bus
        self._channel = channel
        self._channels = channels
        self._mailbox = mailbox
        self._intake = intake
        self._metrics = metrics
        self._leave = leave

    async def run(self) -> None:
        """Relay until the socket closes or is ended."""
        async with (
            self._bus.subscribe(deleted(self._channel.key), ChannelDeleted) as deletions,
            asyncio.TaskGroup() as group,
        ):
            tasks = [group.create_task(each) for each in (self._receive(), self._watch(deletions))]
            try:
                await self._read()
            finally:
                for each in tasks:
                    each.cancel()

    async def end(self, reason: str) -> None:
        """Close it for good."""
        await self._ws.finish(WSCloseCode.POLICY_VIOLATION, reason)

    async def close(self) -> None:
        """Close it so that the client comes back."""
        await self._ws.finish(WSCloseCode.GOING_AWAY, "Going away", last=kinesis.go_away())

    async def _watch(self, deletions: AsyncIterator[tuple[str, ChannelDeleted]]) -> None:
        """Without GO_AWAY, after which SDKs make the channel anew where it is gone."""
        async for _ in deletions:
            await self.end(str(ResourceNotFoundError()))

    async def _receive(self) -> None:
        await self._mailbox.receive(self._hand_over)
        self._leave()

    async def _hand_over(self, delivery: Delivery) -> None:
        if delivery.action is Action.OFFER and not delivery.sender:  # of who records, since not long perhaps
            try:
                self._channel = await self._channels.get_by_arn(self._channel.arn)
            except ResourceNotFoundError as exc:
                return await self.end(str(exc))
        await self._ws.say(kinesis.deliver(delivery))
        self._metrics.relayed.labels("down").inc()
        return None

    async def _read(self) -> None:
        async for text in self._life.texts():
            if self._intake.floods():
                await self.end("too many messages")
                continue
            said = self._intake.read(text, records=self._channel.storage)
            refused = said if isinstance(said, Refused) else await self._relay(said)
            if refused:
                self._metrics.refused.labels("message").inc()
                await self._ws.say(kinesis.status_response(refused))

    async def _relay(self, request: Request) -> Refused | None:
        """Why it could not be sent, if so."""
        if self._mailbox.superseded:
            return superseded(request)
        try:
            await self._send(request)
        except ResourceNotFoundError as exc:
            await self.end(str(exc))
            return Refused(str(exc), request.correlation_id, exc.type, exc.status)
        except UnavailableError as exc:
            logger.warning("channel %s: message not relayed: %s", self._channel.name, exc)
            return Refused(
                "The message could not be relayed.",
                request.correlation_id,
                "ServiceUnavailableException",
                503,
            )
        self._metrics.relayed.labels("up").inc()
        return None

    async def _send(self, request: Request) -> None:
        """Also while the bus is away, for a while. Raises ResourceNotFoundError, UnavailableError."""
        began, letter = time.monotonic(), new_id()
        while True:
            try:
                if request.action is not Action.CANDIDATE:
                    self._channel = await self._channels.get_by_arn(self._channel.arn)
                return await self._mailbox.send(request, self._channel.ttl_s, letter)
            except UnavailableError:
                if time.monotonic() - began > BUS_PATIENCE_SECONDS:
                    raise
                await asyncio.sleep(_AGAIN_SECONDS)


def superseded(request: Request) -> Refused:
    """The answer to who says something on an old connection."""
    return Refused(
        "A newer connection of this client has taken over.", request.correlation_id, "ResourceInUseException"
    )
