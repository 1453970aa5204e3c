"""The Anbox gateway dialect: applications, regions, sessions. Shares and sockets are beside it."""

import asyncio

from aiohttp import web

from appliance import audit
from appliance.bus.messages import LaunchRequest
from appliance.errors import ConflictError, FanlightError, NotFoundError
from appliance.gateway.app import CALLER, public
from appliance.gateway.context import Context
from appliance.gateway.dialect import (
    Deleted,
    FullHealth,
    Health,
    IdsToDelete,
    Invitation,
    JoinPost,
    Named,
    NotDeleted,
    SessionMade,
    SessionPost,
    SessionShown,
)
from appliance.gateway.envelope import accepted, status_of, success
from appliance.gateway.operations import answers, asks, fails, takes, tells_more
from appliance.gateway.query import EndQuery, SessionsQuery
from appliance.gateway.sessions import SessionRecord
from appliance.gateway.settings import Settings, SettingsPatch

_IDLE_MINUTES = 5
_ENDED_AT_ONCE = 16


class AnboxRoutes:
    """Handlers below /1.0."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> list[web.RouteDef]:
        """Every path in all its spellings."""
        return spelled(
            web.get("/1.0/status", self.status),
            web.get("/1.0/applications", self.list_applications),
            web.get("/1.0/regions", self.list_regions),
            web.get("/1.0/config", self.get_config),
            web.patch("/1.0/config", self.change_config),
            web.get("/1.0/sessions", self.list_sessions),
            web.post("/1.0/sessions", self.create_session),
            web.delete("/1.0/sessions", self.delete_sessions),
            web.get("/1.0/sessions/{id}", self.get_session),
            web.delete("/1.0/sessions/{id}", self.delete_session),
            web.post("/1.0/sessions/{id}/join", self.join_session),
        )

    @public
    @tells_more
    @answers(200, FullHealth | Health)
    async def status(self, request: web.Request) -> web.Response:
        """Health; how many agents and database nodes only for those who have a token."""
        bus = self._context.bus
        health = Health(status="healthy" if bus.connected else "unhealthy")
        if CALLER not in request:
            return success(health)
        agents = len(self._context.registry.agents())
        nodes = max(1, len(bus.client.servers)) if bus.connected else 0
        return success(FullHealth(status=health.status, agents=agents, database_nodes=nodes))

    @answers(200, list[Named], "list")
    async def list_applications(self, _: web.Request) -> web.Response:
        """What can be launched."""
        names = self._context.cameras.launchable()
        return success([Named(name=name) for name in names], total=len(names))

    @answers(200, list[Named], "list")
    async def list_regions(self, _: web.Request) -> web.Response:
        """Where agents are."""
        names = self._context.registry.regions()
        return success([Named(name=name) for name in names], total=len(names))

    @answers(200, Settings)
    async def get_config(self, _: web.Request) -> web.Response:
        """The limits that a client meets."""
        return success(self._context.settings.now)

    @takes(SettingsPatch)
    @answers(200, Settings)
    async def change_config(self, _: web.Request, patch: SettingsPatch) -> web.Response:
        """Change what may change while gateways run, for all of them; null is what the file says."""
        return success(await self._context.settings.change(patch))

    @asks(SessionsQuery)
    @answers(200, list[str] | list[SessionShown], "list")
    async def list_sessions(self, _: web.Request, query: SessionsQuery) -> web.Response:
        """Ids, or with `recursion` whole sessions."""
        records = [
            each for each in await self._context.sessions.list() if query.status in (None, each.status)
        ]
        shown = query.cut(records, lambda each: getattr(each, query.sort_by))
        return success(
            [SessionShown.of(each) if query.whole else each.id for each in shown], total=len(records)
        )

    @takes(SessionPost)
    @answers(201, SessionMade, names="/1.0/sessions/{id}")
    @fails(404)
    async def create_session(self, request: web.Request, post: SessionPost) -> web.Response:
        """Session first: launches an instance; the socket's URL is in the answer."""
        record = await self._context.cameras.launch(_launch(post), post.region)
        caller = request[CALLER]
        audit.record(
            "launch", by=str(caller), session=record.id, application=record.app, address=request.remote
        )
        url, servers = self._context.invite(
            request, record.id, caller, exclusive=not record.channel, screen=post.screen
        )
        made = SessionMade(
            id=record.id,
            joinable=record.joinable,
            region=record.region,
            status=record.status,
            stun_servers=servers,
            url=url,
        )
        return success(made, status=201)

    @answers(200, SessionShown)
    @fails(404)
    async def get_session(self, request: web.Request) -> web.Response:
        """One session."""
        return success(SessionShown.of(await self._context.sessions.get(request.match_info["id"])))

    @takes(JoinPost)
    @answers(200, Invitation)
    @fails(404)
    async def join_session(self, request: web.Request, wish: JoinPost) -> web.Response:
        """A socket URL for a client that takes over from the one before it."""
        record = open_session(await self._context.sessions.get(request.match_info["id"]))
        self._context.admit(record, request[CALLER])
        url, servers = self._context.invite(
            request, record.id, request[CALLER], exclusive=not record.channel, screen=wish.screen
        )
        return success(Invitation(url=url, stun_servers=servers))

    @asks(EndQuery)
    @answers(200)
    @fails(404)
    async def delete_session(self, request: web.Request, query: EndQuery) -> web.Response:
        """End one session; one that has ended is forgotten."""
        await self._end(request, request.match_info["id"], query)
        return success()

    @takes(IdsToDelete)
    @asks(EndQuery)
    @answers(200, Deleted)
    @answers(202, Deleted, "async")
    @answers(207, Deleted)
    @fails(404)
    async def delete_sessions(self, request: web.Request, query: EndQuery, wish: IdsToDelete) -> web.Response:
        """End several sessions; each that could not be ended is named."""
        ids = list(dict.fromkeys(wish.ids))
        room = asyncio.Semaphore(_ENDED_AT_ONCE)
        async with asyncio.TaskGroup() as group:
            ending = [group.create_task(self._try_to_end(request, each, query, room)) for each in ids]
        errors = [error for task in ending if (error := task.result())]
        if len(errors) == len(ids) and all(each.status_code == 404 for each in errors):
            raise NotFoundError("none of these sessions exists")
        failed = {each.session_id for each in errors}
        answer = Deleted(deleted_sessions=[each for each in ids if each not in failed], errors=errors)
        if errors:
            return success(answer, status=207)
        return success(answer) if query.sync else accepted(answer)

    async def _try_to_end(
        self, request: web.Request, session: str, query: EndQuery, room: asyncio.Semaphore
    ) -> NotDeleted | None:
        async with room:
            try:
                await self._end(request, session, query)
            except FanlightError as exc:
                code = status_of(exc, conflict=400)
                return NotDeleted(session_id=session, error_message=str(exc), status_code=code)
        return None

    async def _end(self, request: web.Request, session: str, query: EndQuery) -> None:
        reason = "deleted by a client of the API"
        await self._context.sessions.end(session, reason=reason, force=query.force, sync=query.sync)
        audit.record("stop", by=str(request[CALLER]), session=session, address=request.remote)


def _launch(post: SessionPost) -> LaunchRequest:
    """A session that nobody can join again ends with its client, unless it may be idle for ever."""
    idle = post.idle_time_min
    return LaunchRequest(
        session="",
        application=post.app,
        screen=post.screen,
        joinable=post.joinable,
        ephemeral=post.ephemeral and not post.joinable and idle != 0,
        idle_time_min=_IDLE_MINUTES if post.joinable and idle is None else idle,
        version=post.app_version,
        extra_data=post.extra_data,
    )


def open_session(record: SessionRecord) -> SessionRecord:
    """The session if a client may come in. Raises ConflictError."""
    if not record.open:
        raise ConflictError(f"session {record.id} is {record.status}")
    return record


def spelled(*routes: web.RouteDef) -> list[web.RouteDef]:
    """Each route with and without a trailing slash, and with `session` for `sessions`: all are in use."""
    return [
        web.RouteDef(each.method, path + slash, each.handler, dict(each.kwargs))
        for each in routes
        for path in dict.fromkeys((each.path, each.path.replace("/sessions/", "/session/")))
        for slash in ("", "/")
    ]
