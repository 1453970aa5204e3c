"""The control plane of the Kinesis dialect: HTTP, CORS and errors as SDKs expect them."""

import json
import logging
import uuid
from collections.abc import Mapping

from aiohttp import hdrs, web

from appliance.errors import FanlightError
from appliance.gateway.app import Handler, signed
from appliance.gateway.context import Context, origin_of
from appliance.gateway.kinesis.alexa import AlexaOffers
from appliance.gateway.kinesis.errors import (
    BodyTooLargeError,
    ClientLimitError,
    KinesisError,
    UnavailableServiceError,
)
from appliance.gateway.kinesis.operations import Call, Operation, Operations
from appliance.gateway.kinesis.requests import read
from appliance.gateway.kinesis.storage import StorageSessions
from appliance.gateway.limits import RateLimit, caller_of

logger = logging.getLogger(__name__)

_BURST_SECONDS = 4
_CORS_SECONDS = "600"
_MAY_SEND = (
    "authorization,content-type,x-amz-date,x-amz-security-token,x-amz-user-agent,x-amz-content-sha256,"
    "amz-sdk-invocation-id,amz-sdk-request"
)
_MAY_READ = "x-amzn-errortype,x-amzn-requestid,date"


class KinesisRoutes:
    """One path for each call; pages of any origin may call, since every request is signed."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._operations = Operations(context.authority, context.channels, context.config, context.ice)
        self._alexa = AlexaOffers(context)
        self._storage = StorageSessions(context.authority, context.cameras, context.bus)
        rate = context.settings.now.max_http_requests_per_second
        self._addresses = RateLimit(rate, rate * _BURST_SECONDS)

    def routes(self) -> list[web.RouteDef]:
        """Every call, and what browsers ask before it."""
        return [
            route
            for each in (*self._operations.all(), *self._alexa.all(), *self._storage.all())
            for route in (web.post(each.path, self._handler(each)), web.options(each.path, preflight))
        ]

    def _handler(self, operation: Operation) -> Handler:
        @signed
        async def answer(request: web.Request) -> web.StreamResponse:
            try:
                return _respond(request, 200, await self._perform(operation, request))
            except web.HTTPRequestEntityTooLarge:
                return refusal(request, BodyTooLargeError("The request body is larger than any call needs."))
            except KinesisError as exc:
                return refusal(request, exc)
            except FanlightError as exc:
                logger.warning("%s failed: %s", operation.path, exc)
                return refusal(
                    request, UnavailableServiceError("The service is not available. Try again later.")
                )

        return answer

    async def _perform(self, operation: Operation, request: web.Request) -> dict[str, object]:
        rate = self._context.settings.now.max_http_requests_per_second
        self._addresses.adjust(rate, rate * _BURST_SECONDS)
        if not self._addresses.allows(caller_of(request.remote)):
            self._context.metrics.refused.labels("rate").inc()
            raise ClientLimitError("Rate exceeded")
        identity = await self._context.authority.identify(request)
        body = read(operation.body, await request.read())
        origin = origin_of(request).removesuffix(":443")
        return await operation.perform(Call(identity, origin, body))


@signed
async def preflight(_: web.Request) -> web.Response:
    """A browser asks whether a page may call."""
    headers = {
        hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: "*",
        hdrs.ACCESS_CONTROL_ALLOW_METHODS: "POST, OPTIONS",
        hdrs.ACCESS_CONTROL_ALLOW_HEADERS: _MAY_SEND,
        hdrs.ACCESS_CONTROL_EXPOSE_HEADERS: _MAY_READ,
        hdrs.ACCESS_CONTROL_MAX_AGE: _CORS_SECONDS,
    }
    return web.Response(status=204, headers=headers)


def refusal(request: web.Request, error: KinesisError) -> web.Response:
    """`error` as botocore and the other SDKs read it."""
    logger.debug("%s from %s: %d %s: %s", request.path, request.remote, error.status, error.type, error)
    body = {"message": str(error), "Message": str(error), "__type": error.type}
    response = _respond(request, error.status, body)
    response.headers["x-amzn-ErrorType"] = error.type
    return response


def _respond(request: web.Request, status: int, body: Mapping[str, object]) -> web.Response:
    """With a length and in one piece: the C SDK reads no other."""
    response = web.Response(body=json.dumps(body).encode(), status=status, content_type="application/json")
    response.headers["x-amzn-RequestId"] = str(uuid.uuid4())
    response.headers[hdrs.CACHE_CONTROL] = "no-store"
    if hdrs.ORIGIN in request.headers:
        response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = "*"
        response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = _MAY_READ
    return response
