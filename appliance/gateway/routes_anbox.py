"""The Anbox gateway dialect: applications, regions, sessions. Shares and sockets are beside it."""

from typing import Any

from aiohttp import web
from pydantic import BaseModel, Field, JsonValue, field_validator
from pydantic_core import to_json

from appliance.bus.messages import LaunchRequest, Screen, SessionStatus
from appliance.errors import ConflictError, FanlightError, InvalidInputError, NotFoundError
from appliance.gateway.app import CALLER, body, public
from appliance.gateway.context import Context
from appliance.gateway.envelope import accepted, failure, status_of, success
from appliance.gateway.query import Page, flag
from appliance.gateway.sessions import SessionRecord

_IDLE_MINUTES = 5
_IDLE_MINUTES_MAX = 366 * 24 * 60
_SORTABLE = ("id", "app", "region", "status", "created_at")


class SessionPost(BaseModel):
    """What a client asks for; what it sends beyond that is ignored."""

    app: str = Field(min_length=1)
    region: str = ""
    joinable: bool = False
    ephemeral: bool = True
    screen: Screen | None = None
    extra_data: JsonValue = None
    idle_time_min: int | None = Field(None, ge=0, le=_IDLE_MINUTES_MAX)
    app_version: int | None = None

    @field_validator("extra_data")
    @classmethod
    def _travels(cls, value: JsonValue) -> JsonValue:
        """What JSON lets in, such as half a surrogate pair, is not always what it lets out."""
        to_json(value)
        return value


class Join(BaseModel):
    """The screen a client would like; `disconnect_clients` is history and ignored."""

    screen: Screen | None = None


class Ids(BaseModel):
    """Sessions to delete."""

    ids: list[str] = Field(min_length=1, max_length=1000)


class AnboxRoutes:
    """Handlers below /1.0."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> list[web.RouteDef]:
        """Every path with and without a trailing slash."""
        return both(
            web.get("/1.0/status", self.status),
            web.get("/1.0/applications", self.applications),
            web.get("/1.0/regions", self.regions),
            web.get("/1.0/config", self.config),
            web.patch("/1.0/config", self.change_config),
            web.get("/1.0/sessions", self.list_sessions),
            web.post("/1.0/sessions", self.create_session),
            web.delete("/1.0/sessions", self.delete_sessions),
            web.get("/1.0/sessions/{id}", self.get_session),
            web.delete("/1.0/sessions/{id}", self.delete_session),
            web.post("/1.0/sessions/{id}/join", self.join),
        )

    @public
    async def status(self, request: web.Request) -> web.Response:
        """Health; how many agents and database nodes only for those who have a token."""
        bus = self._context.bus
        answer: dict[str, Any] = {"status": "healthy" if bus.connected else "unhealthy"}
        if CALLER in request:
            answer["agents"] = len(self._context.registry.agents())
            answer["database_nodes"] = max(1, len(bus.client.servers)) if bus.connected else 0
        return success(answer)

    async def applications(self, _: web.Request) -> web.Response:
        """What can be launched."""
        names = self._context.registry.applications()
        return success([{"name": name} for name in names], total=len(names))

    async def regions(self, _: web.Request) -> web.Response:
        """Where agents are."""
        names = self._context.registry.regions()
        return success([{"name": name} for name in names], total=len(names))

    async def config(self, _: web.Request) -> web.Response:
        """The limits that a client meets."""
        limits = self._context.config.limits
        return success(
            {
                "max_http_requests_per_second": limits.requests_per_second,
                "max_message_bytes": limits.message_bytes,
                "max_viewers_per_session": limits.viewers_per_session,
            }
        )

    async def change_config(self, _: web.Request) -> web.Response:
        """Not through this door: the configuration is a file."""
        return failure(501, "the configuration is changed in fanlight.toml")

    async def list_sessions(self, request: web.Request) -> web.Response:
        """Ids, or with `recursion` whole sessions."""
        page = Page.of(request)
        wanted = request.query.get("status")
        if wanted is not None and wanted not in tuple(SessionStatus):
            raise InvalidInputError(f"status: {wanted!r} is not a status")
        records = [each for each in await self._context.sessions.list() if wanted in (None, each.status)]
        if order := request.query.get("sort_by"):
            if order not in _SORTABLE:
                raise InvalidInputError(f"sort_by: one of {', '.join(_SORTABLE)}")
            records.sort(key=lambda each: each.created_at if order == "created_at" else as_json(each)[order])
        if request.query.get("sort_order", "asc") == "desc":
            records.reverse()
        shown = page.cut(records)
        return success([as_json(each) if page.whole else each.id for each in shown], total=len(records))

    async def create_session(self, request: web.Request) -> web.Response:
        """Session first: launches an instance; the socket's URL is in the answer."""
        post = await body(request, SessionPost)
        screen = even(post.screen)
        idle = post.idle_time_min
        if post.joinable and idle is None:
            idle = _IDLE_MINUTES
        launch = LaunchRequest(
            session="",
            application=post.app,
            screen=screen,
            joinable=post.joinable,
            ephemeral=post.ephemeral and not post.joinable,
            idle_time_min=idle,
            version=post.app_version,
            extra_data=post.extra_data,
        )
        record = await self._context.sessions.create(launch, post.region)
        url, servers = self._context.invite(
            request, record.id, request[CALLER], exclusive=True, screen=screen
        )
        answer = {
            "id": record.id,
            "joinable": record.joinable,
            "region": record.region,
            "status": record.status,
            "stun_servers": servers,
            "url": url,
        }
        return success(answer, status=201)

    async def get_session(self, request: web.Request) -> web.Response:
        """One session."""
        return success(as_json(await self._context.sessions.get(request.match_info["id"])))

    async def join(self, request: web.Request) -> web.Response:
        """A socket URL for a client that takes over from the one before it."""
        wish = await body(request, Join)
        record = await self._context.sessions.get(request.match_info["id"])
        if not record.open:
            raise ConflictError(f"session {record.id} is {record.status}")
        url, servers = self._context.invite(
            request, record.id, request[CALLER], exclusive=True, screen=even(wish.screen)
        )
        return success({"url": url, "stun_servers": servers})

    async def delete_session(self, request: web.Request) -> web.Response:
        """End one session."""
        await self._end(request, request.match_info["id"])
        return success()

    async def delete_sessions(self, request: web.Request) -> web.Response:
        """End several sessions; each that could not be ended is named."""
        ids = (await body(request, Ids)).ids
        deleted, errors = [], []
        for session in ids:
            try:
                await self._end(request, session)
                deleted.append(session)
            except FanlightError as exc:
                code = status_of(exc, conflict=400)
                errors.append({"session_id": session, "error_message": str(exc), "status_code": code})
        if not deleted and all(each["status_code"] == 404 for each in errors):
            raise NotFoundError("none of these sessions exists")
        answer = {"deleted_sessions": deleted, "errors": errors}
        if errors:
            return success(answer, status=207)
        return success(answer) if flag(request, "sync") else accepted(answer)

    async def _end(self, request: web.Request, session: str) -> None:
        await self._context.sessions.end(
            session,
            reason="deleted by a client of the API",
            force=flag(request, "force"),
            sync=flag(request, "sync"),
        )


def both(*routes: web.RouteDef) -> list[web.RouteDef]:
    """Each route with and without a trailing slash: the SDK and old clients write one."""
    return [
        web.RouteDef(each.method, each.path + slash, each.handler, dict(each.kwargs))
        for each in routes
        for slash in ("", "/")
    ]


def even(screen: Screen | None) -> Screen | None:
    """Odd sizes are rounded up."""
    if screen is None:
        return None
    width, height = screen.width + screen.width % 2, screen.height + screen.height % 2
    return screen.model_copy(update={"width": width, "height": height})


def as_json(record: SessionRecord) -> dict[str, Any]:
    """A session in the words of the dialect."""
    return {
        "id": record.id,
        "app": record.app,
        "region": record.region,
        "joinable": record.joinable,
        "status": record.status.value,
        "status_message": record.status_message,
        "container_id": record.instance or "",
        "cluster_id": record.agent,
    }
