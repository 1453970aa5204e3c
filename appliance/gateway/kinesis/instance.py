"""The socket of a viewer of an instance's channel: the box itself is the master."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable

from aiohttp import WSCloseCode

from appliance.bus.channel_messages import ChannelJoin
from appliance.bus.connection import Bus
from appliance.bus.messages import IceServer
from appliance.bus.peer_messages import PeerEvent, PeerReply
from appliance.bus.subjects import join, up
from appliance.errors import UnavailableError
from appliance.gateway.kinesis.lifetime import Lifetime
from appliance.gateway.kinesis.line import superseded
from appliance.gateway.kinesis.mailbox import Mailbox
from appliance.gateway.kinesis.quotas import MESSAGES_PER_S, Intake
from appliance.gateway.metrics import Metrics
from appliance.gateway.relay import Relay
from appliance.gateway.sessions import SessionRecord
from appliance.signaling import kinesis, kinesis_master
from appliance.signaling.kinesis import Action, Delivery, Refused

_UNANSWERED = 128
_TAKEN_OVER = "a newer connection of this client took over"


class InstanceViewer(Relay):
    """A relay that says an offer again to a streamer that started anew before it had answered.

    When `client` joins the storage session of the channel with key `channel`, the streamer offers. `leave` is
    called when a newer connection of this client takes over; the socket stays open then.
    """

    def __init__(
        self,
        life: Lifetime,
        bus: Bus,
        session: str,
        channel: str,
        client: str,
        opening: PeerEvent,
        metrics: Metrics,
        ice_servers: Callable[[], list[IceServer]],
        look_up: Callable[[str], Awaitable[SessionRecord]],
        mailbox: Mailbox,
        intake: Intake,
        leave: Callable[[], None],
    ) -> None:
        super().__init__(
            life.ws,
            bus,
            session,
            opening,
            metrics,
            ice_servers=ice_servers,
            look_up=look_up,
            message_bytes=kinesis.PAYLOAD_CHARACTERS,
            messages_per_second=MESSAGES_PER_S,
        )
        self._life = life
        self._channel = channel
        self._client = client
        self._mailbox = mailbox
        self._intake = intake
        self._leave = leave
        self._unanswered: list[str] = []

    async def run(self) -> None:
        """Relay until the socket closes or is ended."""
        async with (
            self._bus.subscribe(join(self._channel), ChannelJoin) as joins,
            asyncio.TaskGroup() as group,
        ):
            watching = group.create_task(self._watch_joins(joins))
            try:
                await super().run()
            finally:
                watching.cancel()

    async def _pass_up(self) -> None:
        """Until a newer connection takes over: a streamer that starts anew is not told of this one then."""
        async with asyncio.TaskGroup() as group:
            passing = group.create_task(super()._pass_up())
            await self._mailbox.receive(_nobody_sends)
            passing.cancel()
        self._drop_held()
        self._leave()
        kick = PeerEvent(kind="kick", peer=self.peer, text=_TAKEN_OVER)
        with contextlib.suppress(UnavailableError):  # its connection ends by itself, only later
            await self._bus.publish(up(self.session), kick)

    async def _watch_joins(self, joins: AsyncIterator[tuple[str, ChannelJoin]]) -> None:
        async for _, each in joins:
            if each.client == self._client:
                self._unanswered = [kinesis_master.JOIN]
                self._hold(kinesis_master.JOIN)

    async def _read(self) -> None:
        async for text in self._life.texts():
            if self._intake.floods() or len(self._held) >= _UNANSWERED:
                await self._refuse("too many messages", WSCloseCode.POLICY_VIOLATION)
                continue
            said = self._intake.read(text)
            if not isinstance(said, Refused) and self._mailbox.superseded:
                said = superseded(said)
            if isinstance(said, Refused):
                self._metrics.refused.labels("message").inc()
                await self._ws.say(kinesis.status_response(said))
                continue
            request = kinesis.request(said)  # without what a client may have put beside it
            if said.action is Action.OFFER:
                self._unanswered = [request]
            elif self._unanswered and len(self._unanswered) < _UNANSWERED:
                self._unanswered.append(request)
            self._hold(request)

    def _resume(self) -> None:
        if self._unanswered:
            self._held = deque()
            self._hold(*self._unanswered)

    async def _pass_down(self, replies: AsyncIterator[tuple[str, PeerReply]]) -> None:
        await super()._pass_down(self._current(replies))

    async def _current(
        self, replies: AsyncIterator[tuple[str, PeerReply]]
    ) -> AsyncIterator[tuple[str, PeerReply]]:
        async for subject, reply in replies:
            if self._mailbox.superseded:
                continue
            match kinesis.read_event(reply.text):
                case Delivery(action=Action.ANSWER | Action.OFFER):
                    self._unanswered = []
            yield subject, reply


async def _nobody_sends(_: Delivery) -> None:
    """The box answers by way of the session, and its viewers hear of nobody else."""
