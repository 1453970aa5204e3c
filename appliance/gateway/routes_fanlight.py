"""What the viewer page calls (docs/protocol.md): pairing, guests, what runs, and a way in."""

from collections.abc import AsyncIterator

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from appliance import __version__, audit
from appliance.bus.messages import IceServer, LaunchRequest, Role, SessionStatus
from appliance.errors import ConflictError, LimitExceededError, NotFoundError, RefusedError, UnauthorizedError
from appliance.gateway.app import CALLER, DEVICE_COOKIE, GUEST_COOKIE, public
from appliance.gateway.context import Context, origin_of
from appliance.gateway.envelope import plain
from appliance.gateway.limits import RateLimit, caller_of
from appliance.gateway.operations import answers, fails, takes, tells_more
from appliance.gateway.sessions import SessionRecord
from appliance.gateway.tokens import Principal

_COOKIE_DAYS = 400
"""The longest that browsers keep a cookie (RFC 6265bis)."""
_GUESSES_PER_MINUTE = 10
_IDLE_MINUTES = 5


class Pair(BaseModel):
    """A PIN, and what the browser calls itself."""

    pin: str = Field(max_length=32)
    name: str = Field("", max_length=200)


class Guest(BaseModel):
    """The token of a share link."""

    share: str = Field(max_length=200)


class Launch(BaseModel):
    """An application to launch."""

    application: str = Field(min_length=1, max_length=200)


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Me(_Answer):
    """Who the page is to this box; `session`: the only one that a guest sees."""

    box: str
    paired: bool
    role: Role | None
    label: str
    version: str
    session: str | None


class Running(_Answer):
    """What runs, as the page lists it."""

    session: str
    application: str
    status: SessionStatus
    message: str
    viewers: int
    width: int
    height: int
    agent: str


class Launchable(_Answer):
    """What could run."""

    name: str


class Filming(_Answer):
    """A camera that is there and not shown yet, and how many watch it without the box."""

    name: str
    viewers: int


class Everything(_Answer):
    """The page's list."""

    instances: list[Running]
    applications: list[Launchable]
    cameras: list[Filming]


class Launched(_Answer):
    """A new session."""

    session: str


class Way(_Answer):
    """A socket URL, the ICE servers for the way behind it, and what one may do there."""

    url: str
    stun_servers: list[IceServer]
    role: Role


class Nothing(_Answer):
    """Done."""


class FanlightRoutes:
    """Handlers below /fanlight."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._guesses = RateLimit(_GUESSES_PER_MINUTE / 60, _GUESSES_PER_MINUTE)

    def routes(self) -> list[web.RouteDef]:
        """All of them."""
        return [
            web.get("/fanlight/me", self.me),
            web.post("/fanlight/pair", self.pair),
            web.post("/fanlight/guest", self.guest),
            web.post("/fanlight/leave", self.leave),
            web.get("/fanlight/instances", self.instances),
            web.post("/fanlight/launch", self.launch),
            web.post("/fanlight/sessions/{id}/watch", self.watch),
        ]

    @public
    @tells_more
    @answers(200, Me, "none")
    async def me(self, request: web.Request) -> web.Response:
        """Who the page is to this box."""
        return plain(self._as_me(request.get(CALLER)))

    @public
    @takes(Pair)
    @answers(200, Me, "none")
    @fails(401)
    async def pair(self, request: web.Request, wish: Pair) -> web.Response:
        """Spend a PIN and remember this browser."""
        self._guess(request)
        try:
            await self._context.pins.use(wish.pin.strip())
        except (UnauthorizedError, LimitExceededError):
            self._context.metrics.refused.labels("pin").inc()
            raise
        principal, token = await self._context.devices.add(wish.name)
        audit.record("pair", by=str(principal), role=principal.role, address=request.remote)
        response = plain(self._as_me(principal))
        _remember(request, response, DEVICE_COOKIE, token, days=_COOKIE_DAYS)
        return response

    @public
    @takes(Guest)
    @answers(200, Me, "none")
    @fails(401)
    async def guest(self, request: web.Request, wish: Guest) -> web.Response:
        """Come in by a share link; a paired browser stays what it is and is led to the session."""
        try:
            guest = await self._context.shares.authenticate(wish.share)
        except UnauthorizedError:
            self._guess(request)  # only a wrong one is a guess: a whole room may come from one address
            raise
        me = self._as_me(request.get(CALLER) or guest).model_copy(update={"session": guest.session})
        response = plain(me)
        _remember(request, response, GUEST_COOKIE, wish.share)
        return response

    @public
    @answers(200, Nothing, "none")
    async def leave(self, request: web.Request) -> web.Response:
        """Forget this browser."""
        caller = request.get(CALLER)
        if caller and caller.kind == "device":
            await self._context.devices.remove(caller.id)
            audit.record("unpair", by=str(caller), address=request.remote)
            await self._context.viewers.revoke(caller, "this browser was forgotten")
        response = plain(Nothing())
        for cookie in (DEVICE_COOKIE, GUEST_COOKIE):
            response.del_cookie(cookie, path="/")
        return response

    @answers(200, Everything, "none")
    async def instances(self, request: web.Request) -> web.Response:
        """What runs and what could; a guest sees the one session of its link."""
        caller = request[CALLER]
        running = [self._as_instance(each) async for each in self._visible(caller)]
        if caller.session is not None:
            return plain(Everything(instances=running, applications=[], cameras=[]))
        names = self._context.registry.applications()
        shown = {each.application for each in running}
        cameras = [each for each in self._context.cameras.present() if each.name not in shown]
        return plain(
            Everything(
                instances=running,
                applications=[Launchable(name=name) for name in names],
                cameras=[Filming(name=each.name, viewers=each.viewers) for each in cameras],
            )
        )

    @takes(Launch)
    @answers(201, Launched, "none")
    @fails(404)
    async def launch(self, request: web.Request, wish: Launch) -> web.Response:
        """Start an application in a session of its own."""
        caller = request[CALLER]
        if not caller.role.controls or caller.session is not None:
            raise RefusedError("this browser may watch, but not launch")
        record = await self._context.cameras.launch(
            LaunchRequest(
                session="",
                application=wish.application,
                joinable=True,
                ephemeral=False,
                idle_time_min=_IDLE_MINUTES,
            )
        )
        audit.record(
            "launch", by=str(caller), session=record.id, application=record.app, address=request.remote
        )
        return plain(Launched(session=record.id), status=201)

    @answers(200, Way, "none")
    @fails(404, 409)
    async def watch(self, request: web.Request) -> web.Response:
        """A socket URL beside the other viewers."""
        caller = request[CALLER]
        session = request.match_info["id"]
        if caller.session not in (None, session):
            raise RefusedError("the share link is for another session")
        record = await self._context.sessions.get(session)
        if record.status is SessionStatus.TERMINATED:
            raise NotFoundError(record.status_message or "the session has ended")
        if not record.open:
            raise ConflictError(record.status_message or f"the session is {record.status}")
        self._context.admit(record, caller)
        url, servers = self._context.invite(request, session, caller, exclusive=False, page=True)
        return plain(Way(url=url, stun_servers=servers, role=caller.role))

    def _guess(self, request: web.Request) -> None:
        if not self._guesses.allows(caller_of(request.remote)):
            self._context.metrics.refused.labels("guesses").inc()
            raise LimitExceededError("too many tries from this address: wait a minute")

    async def _visible(self, caller: Principal) -> AsyncIterator[SessionRecord]:
        if caller.session is not None:
            try:
                yield await self._context.sessions.get(caller.session)
            except NotFoundError:
                return
        else:
            for record in await self._context.sessions.list():
                if record.open:
                    yield record

    def _as_instance(self, record: SessionRecord) -> Running:
        stats = self._context.viewers.of(record.id)
        told = self._context.registry.instance_of(record.id)
        agent = self._context.registry.agent(record.agent)
        screen = told.screen if told else record.screen
        return Running(
            session=record.id,
            application=record.app,
            status=record.status,
            message=record.status_message
            or (stats.problem if stats else "")
            or (told.detail if told else ""),
            viewers=len(stats.viewers) if stats else told.viewers if told else 0,
            width=stats.width if stats and stats.width else screen.width,
            height=stats.height if stats and stats.height else screen.height,
            agent=agent.name if agent else record.agent,
        )

    def _as_me(self, caller: Principal | None) -> Me:
        return Me(
            box=self._context.config.box.name,
            paired=caller is not None and caller.kind == "device",
            role=caller.role if caller else None,
            label=caller.label if caller else "",
            version=__version__,
            session=caller.session if caller else None,
        )


def _remember(
    request: web.Request, response: web.Response, name: str, value: str, *, days: int | None = None
) -> None:
    response.set_cookie(
        name,
        value,
        max_age=None if days is None else days * 86400,
        path="/",
        secure=origin_of(request).startswith("https:"),
        httponly=True,
        samesite="Strict",
    )
