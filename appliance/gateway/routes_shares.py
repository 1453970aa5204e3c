"""Shares of the Anbox dialect: links that lead one more client into a session."""

import time
from typing import Any, Literal

from aiohttp import web
from pydantic import BaseModel, Field

from appliance.bus.messages import Role
from appliance.errors import ConflictError, InvalidInputError, UnauthorizedError
from appliance.gateway.app import body, ticketed
from appliance.gateway.context import Context, ice_json, origin_of
from appliance.gateway.envelope import accepted, success
from appliance.gateway.ice import ice_servers
from appliance.gateway.query import Page
from appliance.gateway.routes_anbox import both
from appliance.gateway.shares import PER_SESSION, ShareRecord
from appliance.gateway.tickets import Ticket
from appliance.gateway.tokens import Principal

Kind = Literal["adb", "view", "control"]
"""`adb` is Anbox's; the others are ours and lead to the stream."""


class SharePost(BaseModel):
    """A share to be made; `expiry_min` is the older spelling of when it ends."""

    type: Kind = "adb"
    description: str = Field("", max_length=200)
    expiry_at: int | None = None
    expiry_min: int | None = Field(None, ge=1)


class SharePatch(BaseModel):
    """What may change of a share."""

    description: str | None = Field(None, max_length=200)
    expiry_at: int | None = None


class ShareRoutes:
    """Handlers of share, connect and shares."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> list[web.RouteDef]:
        """Every path with and without a trailing slash; `session` and `sessions` both lead to `connect`."""
        return both(
            web.post("/1.0/sessions/{id}/share", self.create),
            web.get("/1.0/sessions/{id}/connect", self.connect),
            web.get("/1.0/session/{id}/connect", self.connect),
            web.get("/1.0/shares", self.list),
            web.get("/1.0/shares/{id}", self.get),
            web.patch("/1.0/shares/{id}", self.change),
            web.delete("/1.0/shares/{id}", self.delete),
        )

    async def create(self, request: web.Request) -> web.Response:
        """A link into one session, for a while."""
        post = await body(request, SharePost)
        session = await self._context.sessions.get(request.match_info["id"])
        if not session.open:
            raise ConflictError(f"session {session.id} is {session.status}")
        expires_at = post.expiry_at
        if expires_at is None and post.expiry_min is not None:
            expires_at = int(time.time()) + post.expiry_min * 60
        record, token = await self._context.shares.create(
            session.id,
            role=Role.CONTROL if post.type == "control" else Role.VIEW,
            kind=post.type,
            expires_at=expires_at,
            description=post.description,
            limit=PER_SESSION,
        )
        url = f"{origin_of(request)}/1.0/session/{session.id}/connect?type={record.type}&token={token}"
        return success(
            {
                "id": record.id,
                "type": record.type,
                "url": url,
                "expiry_at": record.expires_at,
                "expiry_min": (record.expires_at - record.created_at) // 60,
            }
        )

    @ticketed
    async def connect(self, request: web.Request) -> web.Response:
        """The socket that a share leads to."""
        kind, token = request.query.get("type", ""), request.query.get("token", "")
        if kind not in ("adb", "view", "control"):
            raise InvalidInputError("type: adb, view or control")
        if not token:
            raise UnauthorizedError("token: missing")
        session = await self._context.sessions.get(request.match_info["id"])
        guest = await self._context.shares.authenticate(token, kind=kind, session=session.id)
        if not session.open:
            raise ConflictError(f"session {session.id} is {session.status}")
        if kind == "adb":
            return success(self._adb(request, session.id, guest))
        url, servers = self._context.invite(request, session.id, guest, exclusive=False)
        return success({"url": url, "stun_servers": servers})

    def _adb(self, request: web.Request, session: str, guest: Principal) -> dict[str, Any]:
        ticket = Ticket(
            session=session,
            socket="adb",
            owner_kind="share",
            owner=guest.id,
            label=guest.label,
            role=guest.role,
        )
        url = self._context.socket_url(request, session, "adb", self._context.tickets.issue(ticket))
        return {"url": url, "stun_servers": ice_json(ice_servers(self._context.config.ice, session))}

    async def list(self, request: web.Request) -> web.Response:
        """Ids, or with `recursion` whole shares, of one session or all."""
        page = Page.of(request)
        records = await self._context.shares.list(request.query.get("session_id"))
        shown = page.cut(records)
        return success([as_json(each) if page.whole else each.id for each in shown], total=len(records))

    async def get(self, request: web.Request) -> web.Response:
        """One share, without its link: that was shown once."""
        return success(as_json(await self._context.shares.get(request.match_info["id"])))

    async def change(self, request: web.Request) -> web.Response:
        """Another description or end."""
        patch = await body(request, SharePatch)
        record = await self._context.shares.change(
            request.match_info["id"], description=patch.description, expires_at=patch.expiry_at
        )
        return success(as_json(record))

    async def delete(self, request: web.Request) -> web.Response:
        """Revoke a share and end whoever came in by it."""
        guest = await self._context.shares.remove(request.match_info["id"])
        await self._context.viewers.revoke(guest, "the share was revoked")
        return accepted()


def as_json(record: ShareRecord) -> dict[str, Any]:
    """A share in the words of the dialect."""
    return {
        "id": record.id,
        "session_id": record.session,
        "type": record.type,
        "description": record.description,
        "created_at": record.created_at,
        "expiry_at": record.expires_at,
    }
