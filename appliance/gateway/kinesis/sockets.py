"""The doors of the signaling sockets: who comes in as master or viewer of which channel."""

import logging
import time
from typing import NamedTuple

from aiohttp import hdrs, web

from appliance.about import about
from appliance.bus.channel_messages import ChannelClient
from appliance.bus.messages import DRAINING
from appliance.bus.peer_messages import PeerEvent
from appliance.errors import FanlightError
from appliance.gateway.app import signed
from appliance.gateway.context import Context
from appliance.gateway.kinesis.channels import Channel
from appliance.gateway.kinesis.errors import (
    ClientLimitError,
    ConnectDeniedError,
    InternalError,
    InvalidArgumentError,
    UnavailableServiceError,
    UpgradeNeededError,
)
from appliance.gateway.kinesis.instance import InstanceViewer
from appliance.gateway.kinesis.lifetime import Lifetime
from appliance.gateway.kinesis.line import Line
from appliance.gateway.kinesis.mailbox import Mailbox
from appliance.gateway.kinesis.quotas import Intake, Quotas
from appliance.gateway.kinesis.requests import is_arn
from appliance.gateway.kinesis.routes import refusal
from appliance.gateway.limits import RateLimit
from appliance.gateway.tokens import Principal, new_id
from appliance.signaling.kinesis import may_be_claimed

logger = logging.getLogger(__name__)

_CLIENT = "X-Amz-ClientId"


class Guest(NamedTuple):
    """Who may come in; `client` is empty for a master."""

    channel: Channel
    client: str
    principal: Principal
    session: str | None
    """Of the instance that a viewer talks to, instead of the master."""


class KinesisSockets:
    """The paths that endpoints name, and what `/` is for clients that drop theirs."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._quotas = Quotas.of(context.config.kinesis)
        self._connects = RateLimit(self._quotas.connects_per_s, self._quotas.connects_at_once)
        self._lives: set[Lifetime] = set()
        self._draining = False

    def drain(self, *, closed: bool) -> None:
        """Send everybody away, and let nobody in; or let them in again."""
        self._draining = closed
        if closed:
            for each in self._lives:
                each.leave()

    def change_relays(self) -> None:
        """Have everybody ask for ICE servers again."""
        for each in self._lives:
            each.change_relays()

    def routes(self) -> list[web.RouteDef]:
        """The endpoints."""
        return [web.get("/signal/master", self.master), web.get("/signal/viewer", self.viewer)]

    @signed
    async def master(self, request: web.Request) -> web.StreamResponse:
        """A master; some name themselves, which means nothing."""
        return await self._connect(request, None)

    @signed
    async def viewer(self, request: web.Request) -> web.StreamResponse:
        """A viewer, by its name."""
        return await self._connect(request, request.query.get(_CLIENT, ""))

    async def either(self, request: web.Request) -> web.StreamResponse:
        """A viewer if it names itself, else a master."""
        return await self._connect(request, request.query.get(_CLIENT))

    async def _connect(self, request: web.Request, client: str | None) -> web.StreamResponse:
        """A master has no name."""
        life = Lifetime(self._quotas)
        if not life.ws.can_prepare(request):
            response = refusal(request, UpgradeNeededError())
            response.headers[hdrs.UPGRADE] = "websocket"
            return response
        connection = new_id()
        try:
            guest = await self._admit(request, client)
            seen = ChannelClient(
                connection=connection,
                client=guest.client,
                label=guest.principal.label,
                address=request.remote or "",
                since=time.time(),
            )
            self._context.presence.enter(guest.channel.key, seen, viewers=self._quotas.viewers)
        except FanlightError as exc:
            return self._refused(request, exc)
        except web.HTTPRequestTimeout:
            raise
        except Exception:
            logger.exception("%s failed", request.path)
            return self._refused(request, InternalError())
        try:
            await life.ws.prepare(request)
            with about(session=guest.session):
                await self._serve(life, guest, connection, request.remote or "")
        finally:
            self._context.presence.leave(guest.channel.key, connection)
        return life.ws

    async def _admit(self, request: web.Request, client: str | None) -> Guest:
        """Raises KinesisError, UnavailableError, and NotFoundError for a session that is just gone."""
        if self._draining:
            raise UnavailableServiceError(DRAINING)
        identity = await self._context.authority.identify(request)
        arn = request.query.get("X-Amz-ChannelARN", "")
        if not is_arn(arn):
            raise InvalidArgumentError("X-Amz-ChannelARN is missing or not valid.")
        if client is not None and not may_be_claimed(client):
            raise InvalidArgumentError("X-Amz-ClientId is missing or not valid.")
        action = "ConnectAsMaster" if client is None else "ConnectAsViewer"
        channel = await self._context.authority.admit(identity, action, arn, ConnectDeniedError)
        if channel.session and not client:
            raise ConnectDeniedError("This channel is that of a running instance, which is its master.")
        if not self._connects.allows(f"{action} {channel.key}"):  # viewers keep no master out
            raise ClientLimitError("Rate exceeded")
        session = channel.session
        if client and channel.storage:  # its viewers are the recorder's
            session = (await self._context.cameras.show(channel)).id
        guest = Guest(channel, client or "", identity.viewer(channel.arn), session)
        if session:
            self._context.admit(await self._context.sessions.get(session), guest.principal)
            if self._context.viewers.full(session, guest.principal.role):
                raise ClientLimitError("The box takes no more viewers. Try again when one has left.")
        return guest

    def _refused(self, request: web.Request, error: FanlightError) -> web.Response:
        """Browsers show their pages nothing of it, so it must be found here."""
        logger.info("a socket for %s from %s was refused: %s", request.path, request.remote, error)
        self._context.metrics.refused.labels("socket").inc()
        return refusal(request, error)

    async def _serve(self, life: Lifetime, guest: Guest, connection: str, address: str) -> None:
        socket = self._socket(life, guest, connection, address)
        who = f"viewer {guest.client}" if guest.client else "the master"
        logger.info("channel %s: %s (%s) is there", guest.channel.name, who, guest.principal.label)
        self._context.viewers.sockets.add(socket)
        self._lives.add(life)
        if self._draining:
            life.leave()
        try:
            await life.limit(socket.run())
        finally:
            self._lives.discard(life)
            self._context.viewers.sockets.discard(socket)
            logger.info("channel %s: %s is gone", guest.channel.name, who)

    def _socket(self, life: Lifetime, guest: Guest, connection: str, address: str) -> Line | InstanceViewer:
        context, channel = self._context, guest.channel
        peer = guest.principal.new_peer()
        mailbox = Mailbox(context.bus, context.mail, channel.key, guest.client, connection)
        who = f"channel {channel.name}: {guest.client or 'master'}"
        intake = Intake(
            self._quotas,
            master=not guest.client,
            who=who,
            room=lambda size: context.room.allows(channel.key, size, master=not guest.client),
        )

        def leave() -> None:
            context.presence.leave(channel.key, connection)
            life.orphan()

        session = guest.session
        if session is None:
            return Line(
                life, peer, context.bus, channel, context.channels, mailbox, intake, context.metrics, leave
            )
        opening = PeerEvent(
            kind="open",
            peer=peer,
            dialect="kinesis",
            role=guest.principal.role,
            label=f"{guest.principal.label} {guest.client}",
            address=address,
        )
        return InstanceViewer(
            life,
            context.bus,
            session,
            channel.key,
            guest.client,
            opening,
            context.metrics,
            lambda: context.ice_servers(session, peer),
            context.sessions.get,
            mailbox,
            intake,
            leave,
        )
