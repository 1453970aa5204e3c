"""The sockets of a session, opened by tickets."""

import logging

from aiohttp import hdrs, web

from appliance.bus.peer_messages import PeerEvent
from appliance.errors import ConflictError, RefusedError, UnauthorizedError
from appliance.gateway.app import same_origin, ticketed
from appliance.gateway.client_socket import ClientSocket
from appliance.gateway.context import Context
from appliance.gateway.envelope import failure
from appliance.gateway.operations import answers, fails
from appliance.gateway.relay import HEARTBEAT_SECONDS, Relay
from appliance.gateway.routes_anbox import open_session, spelled
from appliance.gateway.tickets import Ticket

logger = logging.getLogger(__name__)

_FRAME_BYTES = 1 << 20
"""Larger frames are not even read; smaller ones that are too large get an error they can show."""


class SocketRoutes:
    """Handlers of `sockets/*`, under both spellings of the path."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> list[web.RouteDef]:
        """Every path in all its spellings."""
        return spelled(
            web.get("/1.0/sessions/{id}/sockets/slave", self.slave),
            web.get("/1.0/sessions/{id}/sockets/master", self.master),
            web.get("/1.0/sessions/{id}/sockets/adb", self.adb),
        )

    @ticketed
    @answers(101, envelope="none")
    @fails(404, 426)
    async def slave(self, request: web.Request) -> web.StreamResponse:
        """The client's side of signaling."""
        ticket = self._ticket(request, "slave")
        if ticket.page and not same_origin(request):
            raise RefusedError("this page is of another origin and may not open the socket")
        record = open_session(await self._context.sessions.get(ticket.session))
        owner = await self._context.owner_of(ticket)
        opening = PeerEvent(
            kind="open",
            peer=owner.new_peer(),
            role=ticket.role,
            exclusive=ticket.exclusive,
            page=ticket.page,
            label=ticket.label,
            address=request.remote or "",
            screen=ticket.screen,
        )
        ws = ClientSocket(heartbeat=HEARTBEAT_SECONDS, max_msg_size=_FRAME_BYTES, compress=False)
        if not ws.can_prepare(request):
            return upgrade_needed()
        await ws.prepare(request)
        await self._relay(ws, record.id, opening)
        return ws

    async def _relay(self, ws: ClientSocket, session: str, opening: PeerEvent) -> None:
        limits = self._context.settings.now
        relay = Relay(
            ws,
            self._context.bus,
            session,
            opening,
            self._context.metrics,
            ice_servers=lambda: self._context.ice_servers(session, opening.peer),
            look_up=self._context.sessions.get,
            message_bytes=limits.max_message_bytes,
            messages_per_second=limits.max_http_requests_per_second,
        )
        sockets = self._context.viewers.sockets
        sockets.add(relay)
        logger.info("session %s: %s of %r opened a socket", session, opening.peer, opening.label)
        try:
            await relay.run()
        finally:
            sockets.discard(relay)

    @ticketed
    async def master(self, request: web.Request) -> web.Response:
        """The instance's side: ours come in by the bus, so nobody is given a token for it."""
        self._ticket(request, "master")
        raise ConflictError("instances come in by the bus")

    @ticketed
    async def adb(self, request: web.Request) -> web.Response:
        """Android only, and no instance of ours runs it."""
        ticket = self._ticket(request, "adb")
        raise ConflictError(f"session {ticket.session} has no adb")

    def _ticket(self, request: web.Request, socket: str) -> Ticket:
        ticket = self._context.tickets.read(request.query.get("token", ""))
        if (ticket.session, ticket.socket) != (request.match_info["id"], socket):
            raise UnauthorizedError("the token of this URL is for something else")
        return ticket


def upgrade_needed() -> web.Response:
    """The answer to who speaks plain HTTP to a socket (RFC 9110, 15.5.22)."""
    response = failure(426, "this is a WebSocket")
    response.headers[hdrs.UPGRADE] = "websocket"
    return response
