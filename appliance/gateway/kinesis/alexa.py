"""SendAlexaOfferToMaster: an offer of who has no socket; the call returns with the master's answer."""

import asyncio
import time
from collections.abc import AsyncIterator

from appliance.bus.channel_messages import ChannelClient
from appliance.bus.messages import Done
from appliance.bus.peer_messages import PeerEvent, PeerReply
from appliance.bus.subjects import down, up
from appliance.errors import InvalidInputError
from appliance.gateway.context import Context
from appliance.gateway.kinesis import requests
from appliance.gateway.kinesis.channels import Channel
from appliance.gateway.kinesis.errors import (
    ClientLimitError,
    InvalidArgumentError,
    NotAuthorizedError,
    ResourceNotFoundError,
)
from appliance.gateway.kinesis.mailbox import Mailbox
from appliance.gateway.kinesis.operations import Call, Json, Operation
from appliance.gateway.kinesis.quotas import Quotas
from appliance.gateway.limits import RateLimit
from appliance.gateway.tokens import Principal, new_id
from appliance.signaling import kinesis
from appliance.signaling.kinesis import Action, Delivery, Request

_BOX_SECONDS = 15.0
"""A box answers at once, or finds nothing in the offer that it could answer."""


class AlexaOffers:
    """Each is a viewer of the channel for as long as its call lasts."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._quotas = Quotas.of(context.config.kinesis)
        self._offers = RateLimit(self._quotas.connects_per_s, self._quotas.connects_at_once)

    def all(self) -> list[Operation]:
        """The one call."""
        return [Operation("/v1/send-alexa-offer-to-master", requests.SendAlexaOffer, self.send)]

    async def send(self, call: Call[requests.SendAlexaOffer]) -> Json:
        """SendAlexaOfferToMaster: the offer waits for a master until it expires."""
        channel = await self._context.authority.admit(
            call.identity, "SendAlexaOfferToMaster", call.body.ChannelARN, NotAuthorizedError
        )
        client, connection = call.body.SenderClientId, new_id()
        if not kinesis.may_be_claimed(client):
            raise InvalidArgumentError("The SenderClientId is not valid.")
        if not self._offers.allows(channel.key):
            raise ClientLimitError("Rate exceeded")
        principal = call.identity.viewer(channel.arn)
        seen = ChannelClient(
            connection=connection, client=client, label=principal.label, address="", since=time.time()
        )
        offer = Request(Action.OFFER, call.body.MessagePayload)
        self._context.presence.enter(channel.key, seen, viewers=self._quotas.viewers)
        try:
            if channel.session:
                answer = await self._ask_box(channel.session, principal, client, offer)
            else:
                answer = await self._ask_client(channel, client, connection, offer)
        except TimeoutError:
            raise ResourceNotFoundError("The master of the channel did not answer in time.") from None
        finally:
            self._context.presence.leave(channel.key, connection)
        return {"Answer": answer}

    async def _ask_client(self, channel: Channel, client: str, connection: str, offer: Request) -> str:
        if not self._context.room.allows(channel.key, len(offer.payload), master=False):
            raise ClientLimitError("Rate exceeded")
        mailbox = Mailbox(self._context.bus, self._context.mail, channel.key, client, connection)
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        async def hear(delivery: Delivery) -> None:
            if delivery.action is Action.ANSWER and not answer.done():
                answer.set_result(delivery.payload)

        await mailbox.clear()
        await mailbox.send(offer, channel.ttl_s, new_id())
        async with asyncio.timeout(channel.ttl_s), asyncio.TaskGroup() as group:
            receiving = group.create_task(mailbox.receive(hear))
            await asyncio.wait((receiving, answer), return_when=asyncio.FIRST_COMPLETED)
            receiving.cancel()
        if not answer.done():
            raise ClientLimitError("A newer connection of this client has taken over.")
        return answer.result()

    async def _ask_box(self, session: str, principal: Principal, client: str, offer: Request) -> str:
        context, peer = self._context, principal.new_peer()
        context.admit(await context.sessions.get(session), principal)
        try:
            kinesis.read_payload(offer.action, offer.payload)
        except InvalidInputError as exc:
            raise InvalidArgumentError(str(exc)) from exc
        opening = PeerEvent(
            kind="open",
            peer=peer,
            dialect="kinesis",
            role=principal.role,
            label=f"{principal.label} {client}",
            ice_servers=context.ice_servers(session, peer),
        )
        said = PeerEvent(kind="message", peer=peer, dialect="kinesis", text=kinesis.request(offer))
        async with (
            asyncio.timeout(_BOX_SECONDS),
            context.bus.subscribe(down(session, peer), PeerReply) as replies,
        ):
            await context.bus.request(up(session), opening, Done)
            try:
                await context.bus.publish(up(session), said)
                return await _answer(replies)
            finally:
                await context.bus.publish(up(session), PeerEvent(kind="close", peer=peer))


async def _answer(replies: AsyncIterator[tuple[str, PeerReply]]) -> str:
    async for _, reply in replies:
        match kinesis.read_event(reply.text):
            case Delivery(action=Action.ANSWER, payload=payload):
                return payload
        if reply.kind == "close":
            break
    raise ResourceNotFoundError("The box has sent this client away.")
