"""The sockets of a session, opened by tickets."""

import logging

from aiohttp import web

from appliance.bus.messages import PeerEvent
from appliance.errors import ConflictError, RefusedError, UnauthorizedError
from appliance.gateway.app import same_origin, ticketed
from appliance.gateway.context import Context
from appliance.gateway.envelope import failure
from appliance.gateway.relay import HEARTBEAT_SECONDS, Relay
from appliance.gateway.routes_anbox import both
from appliance.gateway.tickets import Ticket

logger = logging.getLogger(__name__)

_FRAME_BYTES = 1 << 20
"""Larger frames are not even read; smaller ones that are too large get an error they can show."""


class SocketRoutes:
    """Handlers of `sockets/*`, under both spellings of the path."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> list[web.RouteDef]:
        """Every path with and without a trailing slash."""
        return [
            route
            for word in ("sessions", "session")
            for route in both(
                web.get(f"/1.0/{word}/{{id}}/sockets/slave", self.slave),
                web.get(f"/1.0/{word}/{{id}}/sockets/master", self.master),
                web.get(f"/1.0/{word}/{{id}}/sockets/adb", self.adb),
            )
        ]

    @ticketed
    async def slave(self, request: web.Request) -> web.StreamResponse:
        """The client's side of signaling."""
        ticket = self._ticket(request, "slave")
        if ticket.page and not same_origin(request):
            raise RefusedError("this page is of another origin and may not open the socket")
        record = await self._context.sessions.get(ticket.session)
        if not record.open:
            raise ConflictError(f"session {record.id} is {record.status}")
        owner = await self._context.owner_of(ticket)
        opening = PeerEvent(
            kind="open",
            peer=owner.new_peer(),
            role=ticket.role,
            exclusive=ticket.exclusive,
            label=ticket.label,
            address=request.remote or "",
            screen=ticket.screen,
            ice_servers=list(ticket.ice_servers),
        )
        ws = web.WebSocketResponse(heartbeat=HEARTBEAT_SECONDS, max_msg_size=_FRAME_BYTES, compress=False)
        if not ws.can_prepare(request):
            return failure(426, "this is a WebSocket")
        await ws.prepare(request)
        await self._relay(ws, record.id, opening, page=ticket.page)
        return ws

    async def _relay(
        self, ws: web.WebSocketResponse, session: str, opening: PeerEvent, *, page: bool
    ) -> None:
        limits = self._context.config.limits
        relay = Relay(
            ws,
            self._context.bus,
            session,
            opening,
            self._context.metrics,
            page=page,
            message_bytes=limits.message_bytes,
            messages_per_second=limits.requests_per_second,
        )
        sockets = self._context.viewers.sockets
        sockets.add(relay)
        logger.info("session %s: %s of %r opened a socket", session, opening.peer, opening.label)
        try:
            await relay.run()
        finally:
            sockets.discard(relay)

    @ticketed
    async def master(self, _: web.Request) -> web.Response:
        """The instance's side; instances of ours come in by the bus."""
        return failure(501, "masters over WebSocket are not supported yet")

    @ticketed
    async def adb(self, request: web.Request) -> web.Response:
        """Android only."""
        self._ticket(request, "adb")
        return failure(501, "this session has no adb")

    def _ticket(self, request: web.Request, socket: str) -> Ticket:
        ticket = self._context.tickets.read(request.query.get("token", ""))
        if (ticket.session, ticket.socket) != (request.match_info["id"], socket):
            raise UnauthorizedError("the token of this URL is for something else")
        return ticket
