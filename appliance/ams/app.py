"""The aiohttp application of the AMS dialect: errors, limits, origins and who calls, before any route."""

import logging
from collections.abc import Awaitable, Callable

from aiohttp import hdrs, web

from appliance.ams.envelope import failure
from appliance.errors import FanlightError, LimitExceededError, RefusedError, UnauthorizedError
from appliance.gateway.accounts import token_of
from appliance.gateway.app import CALLER, Handler, is_public, same_origin
from appliance.gateway.envelope import status_of
from appliance.gateway.limits import RateLimit, caller_of
from appliance.gateway.tokens import Principal

logger = logging.getLogger(__name__)

_BODY_BYTES = 131072
_BURST_SECONDS = 4

Rate = Callable[[], int]
Authenticate = Callable[[str], Awaitable[Principal]]


def build(rate: Rate, authenticate: Authenticate, *routes: list[web.RouteDef]) -> web.Application:
    """The application with everything that guards the routes; `rate`: requests a second of one address."""
    doors = _Doors(rate, authenticate)
    app = web.Application(
        middlewares=[doors.answer_errors, doors.limit_rate, doors.know_caller], client_max_size=_BODY_BYTES
    )
    for group in routes:
        app.add_routes(group)
    return app


class _Doors:
    """The middlewares, outermost first."""

    def __init__(self, rate: Rate, authenticate: Authenticate) -> None:
        self._authenticate = authenticate
        self._rate = rate
        self._rates = RateLimit(rate(), rate() * _BURST_SECONDS)

    @web.middleware
    async def answer_errors(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except FanlightError as exc:
            response = failure(status_of(exc), str(exc))
        except web.HTTPException as exc:
            response = failure(exc.status, exc.reason)
            if allowed := exc.headers.get(hdrs.ALLOW):
                response.headers[hdrs.ALLOW] = allowed
        except Exception:
            logger.exception("%s %s failed", request.method, request.rel_url.raw_path)
            response = failure(500, "internal error")
        if response.status == 429:
            response.headers[hdrs.RETRY_AFTER] = "1"
        elif response.status == 401:
            response.headers[hdrs.WWW_AUTHENTICATE] = "Macaroon"
        return response

    @web.middleware
    async def limit_rate(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        rate = self._rate()
        self._rates.adjust(rate, rate * _BURST_SECONDS)
        if not self._rates.allows(caller_of(request.remote)):
            raise LimitExceededError("too many requests of this address: slow down")
        return await handler(request)

    @web.middleware
    async def know_caller(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Set `request[CALLER]`; without one, only public handlers are reached."""
        if not same_origin(request):
            raise RefusedError("pages of other origins may not call the instance manager")
        token = token_of(request.headers, request.query)
        if token:
            request[CALLER] = await self._authenticate(token)
        elif not is_public(request):
            raise UnauthorizedError("an API token is needed: `Authorization: macaroon root=<token>`")
        return await handler(request)
