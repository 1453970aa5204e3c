"""Shares of the Anbox dialect: links that lead one more client into a session."""

from aiohttp import web

from appliance import audit
from appliance.bus.messages import Role
from appliance.errors import UnauthorizedError
from appliance.gateway.app import CALLER, ticketed
from appliance.gateway.context import Context, origin_of
from appliance.gateway.dialect import Invitation, ShareListed, ShareMade, SharePatch, SharePost, ShareShown
from appliance.gateway.envelope import accepted, success
from appliance.gateway.operations import answers, asks, fails, takes
from appliance.gateway.query import ConnectQuery, SharesQuery
from appliance.gateway.routes_anbox import open_session, spelled
from appliance.gateway.shares import DEFAULT_SECONDS, LINK, PER_SESSION, ShareRecord
from appliance.gateway.tickets import Ticket
from appliance.gateway.tokens import Principal

_STORED_AS = {"session_id": "session", "expiry_at": "expires_at"}


class ShareRoutes:
    """Handlers of share, connect and shares."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> list[web.RouteDef]:
        """Every path in all its spellings."""
        return spelled(
            web.post("/1.0/sessions/{id}/share", self.create_share),
            web.get("/1.0/sessions/{id}/connect", self.connect),
            web.get("/1.0/shares", self.list_shares),
            web.get("/1.0/shares/{id}", self.get_share),
            web.patch("/1.0/shares/{id}", self.change_share),
            web.delete("/1.0/shares/{id}", self.delete_share),
        )

    @takes(SharePost)
    @answers(200, ShareMade, names="/1.0/shares/{id}")
    @fails(404)
    async def create_share(self, request: web.Request, post: SharePost) -> web.Response:
        """A link into one session, for a while."""
        session = open_session(await self._context.sessions.get(request.match_info["id"]))
        record = await self._context.shares.create(
            session.id,
            role=Role.CONTROL if post.type == "control" else Role.VIEW,
            kind=post.type,
            expires_at=post.expiry_at or None,
            lasts_s=post.expiry_min * 60 or DEFAULT_SECONDS,
            description=post.description,
            limit=PER_SESSION,
        )
        audit.record(
            "share",
            by=str(request[CALLER]),
            session=session.id,
            role=record.role,
            address=request.remote,
            detail=f"id={record.id}",
        )
        made = ShareMade(
            id=record.id,
            type=post.type,
            url=self._url(request, record),
            expiry_at=record.expires_at,
            expiry_min=record.minutes,
        )
        return success(made)

    def _url(self, request: web.Request, record: ShareRecord) -> str:
        """Where `connect` is, or for a link of `fanlight share` the page."""
        token = self._context.shares.token(record)
        if record.type == LINK:
            return f"{origin_of(request)}/#share={token}"
        return f"{origin_of(request)}/1.0/session/{record.session}/connect?type={record.type}&token={token}"

    @ticketed
    @asks(ConnectQuery)
    @answers(200, Invitation)
    async def connect(self, request: web.Request, query: ConnectQuery) -> web.Response:
        """The socket that a share leads to."""
        session, token = request.match_info["id"], request.query.get("token", "")
        if not token:
            raise UnauthorizedError("token: missing")
        guest = await self._context.shares.authenticate(token, kind=query.type, session=session)
        self._context.admit(open_session(await self._context.sessions.get(session)), guest)
        if query.type == "adb":
            return success(self._adb(request, session, guest))
        url, servers = self._context.invite(request, session, guest, exclusive=False)
        return success(Invitation(url=url, stun_servers=servers))

    def _adb(self, request: web.Request, session: str, guest: Principal) -> Invitation:
        ticket = Ticket(
            session=session,
            socket="adb",
            owner_kind="share",
            owner=guest.id,
            label=guest.label,
            role=guest.role,
        )
        url = self._context.socket_url(request, session, "adb", self._context.tickets.issue(ticket))
        return Invitation(url=url, stun_servers=self._context.ice_servers(session, guest.new_peer()))

    @asks(SharesQuery)
    @answers(200, list[str] | list[ShareListed], "list")
    async def list_shares(self, _: web.Request, query: SharesQuery) -> web.Response:
        """Ids, or with `recursion` whole shares, of one session or all."""
        records = await self._context.shares.list(query.session_id)
        key = _STORED_AS.get(query.sort_by, query.sort_by)
        shown = query.cut(records, lambda each: getattr(each, key))
        return success(
            [ShareListed.of(each) if query.whole else each.id for each in shown], total=len(records)
        )

    @answers(200, ShareShown)
    @fails(404)
    async def get_share(self, request: web.Request) -> web.Response:
        """One share."""
        return self._shown(request, await self._context.shares.get(request.match_info["id"]))

    def _shown(self, request: web.Request, record: ShareRecord) -> web.Response:
        listed = ShareListed.of(record).model_dump()
        return success(ShareShown(**listed, url=self._url(request, record)))

    @takes(SharePatch)
    @answers(200, ShareShown)
    @fails(404)
    async def change_share(self, request: web.Request, patch: SharePatch) -> web.Response:
        """Another description or end."""
        record = await self._context.shares.change(
            request.match_info["id"], description=patch.description, expires_at=patch.expiry_at or None
        )
        return self._shown(request, record)

    @answers(202, None, "async")
    @fails(404)
    async def delete_share(self, request: web.Request) -> web.Response:
        """Revoke a share and end whoever came in by it."""
        guest = await self._context.shares.remove(request.match_info["id"])
        audit.record(
            "unshare",
            by=str(request[CALLER]),
            session=guest.session,
            address=request.remote,
            detail=f"id={guest.id}",
        )
        await self._context.viewers.revoke(guest, "the share was revoked")
        return accepted()
