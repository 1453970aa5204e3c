"""The aiohttp application: errors, limits, origins and who calls, before any route is reached."""

import logging
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from appliance.about import about
from appliance.errors import (
    FanlightError,
    LimitExceededError,
    RefusedError,
    UnauthorizedError,
    UnavailableError,
)
from appliance.gateway.accounts import bearer_of, token_of
from appliance.gateway.context import Context, origin_of
from appliance.gateway.envelope import failure, status_of
from appliance.gateway.limits import RateLimit, caller_of
from appliance.gateway.tokens import Principal

logger = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
H = TypeVar("H", bound=Callable[..., Any])

DEVICE_COOKIE = "fanlight_device"
GUEST_COOKIE = "fanlight_guest"
CALLER: web.RequestKey[Principal] = web.RequestKey("caller", Principal)
_BODY_BYTES = 65536
_BURST_SECONDS = 4
API = "/1.0"
PAGE = "/fanlight/"
WHEP = "/whep/"
_LIMITED = ("/1.0/", PAGE, WHEP, "/metrics", "/internal/")
"""The files of the page are memory copies: a room behind one address loads them at once."""
_PLAYERS_READ = "Location, Link, ETag, Accept-Patch, Retry-After"
_CORS_SECONDS = "600"


def public(handler: H) -> H:
    """Mark a handler that anybody may call: it looks after itself."""
    handler.__dict__["public"] = True
    return handler


def ticketed(handler: H) -> H:
    """Mark a handler whose URL is the credential: who calls and from where does not matter."""
    handler.__dict__["ticketed"] = True
    return public(handler)


def signed(handler: H) -> H:
    """Mark a handler whose requests are signed, each by itself: pages of any origin may bring them."""
    handler.__dict__["signed"] = True
    return public(handler)


def build(context: Context, *routes: list[web.RouteDef]) -> web.Application:
    """The application with everything that guards the routes."""
    doors = Doors(context)
    app = web.Application(
        middlewares=[
            doors.measure,
            doors.answer_errors,
            doors.limit_rate,
            doors.check_origin,
            doors.know_caller,
        ],
        client_max_size=_BODY_BYTES,
    )
    for group in routes:
        app.add_routes(group)
    return app


class Doors:
    """The middlewares, outermost first."""

    def __init__(self, context: Context) -> None:
        self._context = context
        rate = context.settings.now.max_http_requests_per_second
        self._addresses = RateLimit(rate, rate * _BURST_SECONDS)
        self._accounts = RateLimit(rate, rate * _BURST_SECONDS)

    @web.middleware
    async def measure(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Sockets last for as long as they are used: only plain requests have a duration."""
        metrics, found = self._context.metrics, request.match_info
        name = "none" if found.http_exception else metrics.handler(getattr(found.handler, "__name__", "none"))
        session = found.get("id") if "/session" in request.path else None
        began = time.monotonic()
        with metrics.in_flight.track_inprogress(), about(session=session):
            response = await handler(request)
        if response.status != HTTPStatus.SWITCHING_PROTOCOLS:
            metrics.durations.labels(name, request.method).observe(time.monotonic() - began)
        metrics.requests.labels(name, request.method, response.status).inc()
        return response

    @web.middleware
    async def answer_errors(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            response = await handler(request)
        except FanlightError as exc:
            status = status_of(exc, conflict=400 if request.path.startswith(API) else 409)
            response = self._failed(request, status, str(exc))
        except web.HTTPException as exc:
            response = self._failed(request, exc.status, exc.reason)
            if allowed := exc.headers.get(hdrs.ALLOW):
                response.headers[hdrs.ALLOW] = allowed
        except Exception:
            logger.exception("%s %s failed", request.method, request.rel_url.raw_path)
            response = self._failed(request, 500, "internal error")
        return response

    def _failed(self, request: web.Request, status: int, text: str) -> web.StreamResponse:
        """The error, readable for the page that may read our answers."""
        logger.log(
            logging.INFO if status >= 500 else logging.DEBUG,
            "%s %s from %s: %d %s",
            request.method,
            request.rel_url.raw_path,
            request.remote,
            status,
            text,
        )
        response = failure(status, text)
        if status in (429, 503):
            response.headers[hdrs.RETRY_AFTER] = "1"
        elif status == 401:
            response.headers[hdrs.WWW_AUTHENTICATE] = (
                "Bearer" if request.path.startswith(WHEP) else "Macaroon"
            )
        self._allow(request, response)
        return response

    @web.middleware
    async def limit_rate(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        rate = self._context.settings.now.max_http_requests_per_second
        for each in (self._addresses, self._accounts):
            each.adjust(rate, rate * _BURST_SECONDS)
        if request.path.startswith(_LIMITED) and not self._addresses.allows(caller_of(request.remote)):
            raise self._too_fast("this address")
        return await handler(request)

    def _too_fast(self, who: str) -> LimitExceededError:
        self._context.metrics.refused.labels("rate").inc()
        return LimitExceededError(f"too many requests of {who}: slow down")

    @web.middleware
    async def check_origin(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Pages of others reach only what no cookie opens: /whep, and /1.0 where the operator lets them."""
        if request.path.startswith(WHEP):
            response = await handler(request)
            self._allow(request, response)
            return response
        if same_origin(request) or getattr(request.match_info.handler, "signed", False):
            return await handler(request)
        origin = request.headers[hdrs.ORIGIN]
        api = request.path.startswith(API) and self._allowed(origin)
        if not (api or _carries_ticket(request)):
            self._context.metrics.refused.labels("origin").inc()
            raise RefusedError("this page is of another origin and may not call the gateway")
        preflight = hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers
        if request.method == hdrs.METH_OPTIONS and preflight:
            response = web.Response(status=204)
            settings = self._context.settings.now
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_METHODS] = ", ".join(settings.https_allowed_methods)
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_HEADERS] = ", ".join(settings.https_allowed_headers)
            response.headers[hdrs.ACCESS_CONTROL_MAX_AGE] = _CORS_SECONDS
        else:
            response = await handler(request)
        if not response.prepared:
            self._allow(request, response)
        return response

    def _allowed(self, origin: str) -> bool:
        allowed = self._context.settings.now.https_allowed_origin
        return "*" in allowed or origin in allowed

    def _allow(self, request: web.Request, response: web.StreamResponse) -> None:
        origin = request.headers.get(hdrs.ORIGIN)
        if request.path.startswith(WHEP):
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = "*"
            response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = _PLAYERS_READ
        elif origin and request.path.startswith(API) and self._allowed(origin):
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
            response.headers[hdrs.VARY] = hdrs.ORIGIN

    @web.middleware
    async def know_caller(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Set `request[CALLER]`; without one, only public handlers are reached."""
        caller = None
        try:
            caller = await self._caller(request)
        except UnauthorizedError:
            if not is_public(request):
                raise
        except UnavailableError:  # a page is no stranger for that; a program asks how the gateway is
            if not (is_public(request) and request.path.startswith(API)):
                raise
        if caller is not None:
            if caller.kind == "account" and not self._accounts.allows(caller.id):
                raise self._too_fast(f"the account {caller.label!r}")
            request[CALLER] = caller
        return await handler(request)

    async def _caller(self, request: web.Request) -> Principal | None:
        if request.path.startswith(API):
            if token := token_of(request.headers, request.query):
                return await self._context.accounts.authenticate(token)
            if not is_public(request):
                raise UnauthorizedError("an API token is needed: `Authorization: macaroon root=<token>`")
        elif request.path.startswith(PAGE):
            return await self._page_caller(request)
        elif request.path.startswith(WHEP):
            return await self._bearer(request)
        return None

    async def _bearer(self, request: web.Request) -> Principal:
        """Whose token it is: an account's, a device's or a share link's. Raises UnauthorizedError."""
        token = bearer_of(request.headers)
        if not token:
            raise UnauthorizedError("a token is needed: `Authorization: Bearer <token>`")
        if "." not in token:
            return await self._context.accounts.authenticate(token)
        try:
            return await self._context.devices.authenticate(token)
        except UnauthorizedError:
            return await self._context.shares.authenticate(token)

    async def _page_caller(self, request: web.Request) -> Principal:
        """The paired device, else the guest of a share link. Raises UnauthorizedError."""
        token, share = request.cookies.get(DEVICE_COOKIE), request.cookies.get(GUEST_COOKIE)
        if token:
            try:
                return await self._context.devices.authenticate(token)
            except UnauthorizedError:
                if not share:
                    raise
        if share:
            return await self._context.shares.authenticate(share)
        raise UnauthorizedError("this browser is not paired")


def same_origin(request: web.Request) -> bool:
    """Whether the page that calls, if one does, came from this gateway."""
    origin = request.headers.get(hdrs.ORIGIN)
    return origin is None or _parts(origin) == _parts(origin_of(request))


def is_public(request: web.Request) -> bool:
    """Also a call that no handler would get: which methods there are is no secret."""
    if isinstance(request.match_info.http_exception, web.HTTPMethodNotAllowed):
        return True
    return bool(getattr(request.match_info.handler, "public", False))


def _carries_ticket(request: web.Request) -> bool:
    """A WebSocket or `connect` URL is a credential of its own and may be handed to any page."""
    return getattr(request.match_info.handler, "ticketed", False)


def _parts(origin: str) -> tuple[str, str | None, int | None]:
    """Scheme, host and port, equal for all spellings of one origin."""
    try:
        split = urlsplit(origin)
        return split.scheme, split.hostname, split.port or {"http": 80, "https": 443}.get(split.scheme)
    except ValueError:
        return "", None, None
