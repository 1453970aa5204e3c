"""WHEP (draft-ietf-wish-whep): any standard player watches. All that is kept of a viewer is its URL."""

import asyncio
from typing import NamedTuple

from aiohttp import ETag, hdrs, web

from appliance import audit
from appliance.bus.messages import IceServer, LaunchRequest, Role
from appliance.bus.peer_messages import PeerEvent
from appliance.errors import NoCapacityError, NotFoundError, RefusedError, UnavailableError
from appliance.gateway.app import CALLER, WHEP, public
from appliance.gateway.context import Context
from appliance.gateway.operations import answers, fails, reads
from appliance.gateway.players import Players
from appliance.gateway.sessions import SessionRecord
from appliance.gateway.tokens import Principal
from appliance.signaling import whep

_IDLE_MINUTES = 5
_CORS_SECONDS = "600"
_ACCEPT_PATCH = "Accept-Patch"


class _Viewer(NamedTuple):
    """What the URL of a viewer says: its session, its peer id, and the one ICE session that it ever has."""

    session: str
    peer: str
    ice: str

    @property
    def path(self) -> str:
        return f"{WHEP}{self.session}/{self.peer}.{self.ice}"


class WhepRoutes:
    """Handlers below /whep; pages of any origin may call, since each request brings its token."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._players = Players(context.bus)
        self._launching = asyncio.Lock()

    def routes(self) -> list[web.RouteDef]:
        """All of them."""
        endpoint, viewer = WHEP + "{name}", WHEP + "{name}/{resource}"
        return [
            web.post(endpoint, self.play),
            web.get(endpoint, self.show_endpoint),
            web.options(endpoint, self.ask_endpoint),
            web.patch(viewer, self.trickle),
            web.delete(viewer, self.stop_watching),
            web.get(viewer, self.show_viewer),
            web.options(viewer, self.ask_viewer),
        ]

    @reads(whep.SDP)
    @answers(201, str, "none", media=whep.SDP)
    @fails(404, 406)
    async def play(self, request: web.Request, sdp: str) -> web.Response:
        """Watch what has this name: an application, an instance or a session."""
        offer = whep.read_offer(sdp)
        if offer.lacks:
            raise web.HTTPNotAcceptable(reason=f"sdp: {offer.lacks}")
        caller = request[CALLER]
        record = await self._find(request, caller)
        self._context.admit(record, caller)
        viewer = _Viewer(record.id, caller.new_peer(), offer.ice)
        servers = self._context.ice_servers(record.id, viewer.peer)
        opening = PeerEvent(
            kind="open",
            peer=viewer.peer,
            dialect="whep",
            role=Role.VIEW,
            label=caller.label,
            address=request.remote or "",
            ice_servers=servers,
        )
        answer = await self._players.enter(record.id, opening, offer.sdp)
        response = web.Response(status=201, text=answer, content_type=whep.SDP)
        response.headers[hdrs.LOCATION] = viewer.path
        response.headers[hdrs.CACHE_CONTROL] = "no-store"
        response.headers[_ACCEPT_PATCH] = whep.FRAGMENT
        response.etag = viewer.ice
        for each in servers:
            for url in each.urls:
                response.headers.add(hdrs.LINK, _link(url, each))
        return response

    @reads(whep.FRAGMENT)
    @answers(204, envelope="none")
    @fails(404, 412, 422)
    async def trickle(self, request: web.Request, text: str) -> web.Response:
        """Candidates of a player that did not wait for them. ICE does not restart here."""
        fragment = whep.read_fragment(text)
        viewer = await self._viewer(request)
        known = (ETag(viewer.ice), ETag("*"))
        if request.if_match and not any(each in known for each in request.if_match):
            raise web.HTTPPreconditionFailed(reason="If-Match: this is not the ETag of the viewer")
        if fragment.ice != viewer.ice:
            raise web.HTTPUnprocessableEntity(reason="ICE cannot restart: POST again instead")
        texts = [whep.candidate(each) for each in fragment.candidates]
        for each in texts or [""]:
            await self._players.say(viewer.session, viewer.peer, each)
        return web.Response(status=204)

    @answers(200, envelope="none")
    @fails(404)
    async def stop_watching(self, request: web.Request) -> web.Response:
        """End a viewer."""
        viewer = await self._viewer(request)
        await self._players.end(viewer.session, viewer.peer)
        return web.Response()

    @public
    @answers(204, envelope="none")
    async def show_endpoint(self, _: web.Request) -> web.Response:
        """There is nothing to show."""
        return web.Response(status=204)

    @public
    @answers(204, envelope="none")
    async def show_viewer(self, _: web.Request) -> web.Response:
        """There is nothing to show."""
        return web.Response(status=204)

    @public
    @answers(200, envelope="none")
    async def ask_endpoint(self, _: web.Request) -> web.Response:
        """What may be sent here, also by pages of others."""
        return _may("OPTIONS, GET, POST", {"Accept-Post": whep.SDP})

    @public
    @answers(200, envelope="none")
    async def ask_viewer(self, _: web.Request) -> web.Response:
        """What may be sent here, also by pages of others."""
        return _may("OPTIONS, GET, PATCH, DELETE", {_ACCEPT_PATCH: whep.FRAGMENT})

    async def _find(self, request: web.Request, caller: Principal) -> SessionRecord:
        """The oldest session of this name, or a new one. Raises NotFoundError, RefusedError."""
        name = request.match_info["name"]
        found = await self._running(name)
        if caller.session and (found is None or found.id != caller.session):
            raise RefusedError("the share link is for another session")
        if found:
            return found
        if not caller.role.controls or name not in self._context.cameras.launchable():
            raise NotFoundError(f"nothing that is called {name!r} runs here")
        async with self._launching:
            return await self._running(name) or await self._launch(request, name)

    async def _running(self, name: str) -> SessionRecord | None:
        for record in await self._context.sessions.list():
            if record.open and name in (record.id, record.instance, record.app):
                return record
        return None

    async def _launch(self, request: web.Request, application: str) -> SessionRecord:
        wish = LaunchRequest(
            session="", application=application, joinable=True, ephemeral=False, idle_time_min=_IDLE_MINUTES
        )
        try:
            record = await self._context.cameras.launch(wish)
        except NoCapacityError as exc:
            raise UnavailableError(str(exc)) from exc
        audit.record(
            "launch",
            by=str(request[CALLER]),
            session=record.id,
            application=record.app,
            address=request.remote,
        )
        return record

    async def _viewer(self, request: web.Request) -> _Viewer:
        """Raises NotFoundError where its session is over, RefusedError where it is somebody else's."""
        record = await self._context.sessions.get(request.match_info["name"])
        if not record.open:
            raise NotFoundError(f"session {record.id} is {record.status}")
        peer, _, ice = request.match_info["resource"].partition(".")
        if peer.partition("-")[0] != request[CALLER].tag:
            raise RefusedError("this is not a viewer of yours")
        return _Viewer(record.id, peer, ice)


def _link(url: str, server: IceServer) -> str:
    """RFC 9725 section 4.6."""
    link = f'<{url}>; rel="ice-server"'
    if server.username:
        link += f'; username="{server.username}"; credential="{server.password}"; credential-type="password"'
    return link


def _may(methods: str, headers: dict[str, str]) -> web.Response:
    """Browsers ask before a page of another origin may call (CORS)."""
    return web.Response(
        headers=headers
        | {
            hdrs.ALLOW: methods,
            hdrs.ACCESS_CONTROL_ALLOW_METHODS: methods,
            hdrs.ACCESS_CONTROL_ALLOW_HEADERS: "Authorization, Content-Type, If-Match",
            hdrs.ACCESS_CONTROL_MAX_AGE: _CORS_SECONDS,
        }
    )
