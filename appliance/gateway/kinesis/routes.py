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
    InternalError,
    UnknownOperationError,
    told_of,
)
from appliance.gateway.kinesis.operations import Call, Operation, Operations
from appliance.gateway.kinesis.requests import read
from appliance.gateway.kinesis.storage import StorageSessions

logger = logging.getLogger(__name__)

_CORS_SECONDS = "600"
_LIKE_THEM = r"/{operation:v1/[a-z-]+|[a-z]*[A-Z][a-zA-Z]*}"
"""Paths of AWS's calls, of which there are more; none of ours has a capital letter."""
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

    def routes(self) -> list[web.RouteDef]:
        """Every call, and what browsers ask before it."""
        return [
            route
            for each in (*self._operations.all(), *self._alexa.all(), *self._storage.all())
            for route in (web.post(each.path, self._handler(each)), web.options(each.path, preflight))
        ] + [web.post(_LIKE_THEM, unknown_operation), web.options(_LIKE_THEM, preflight)]

    def _handler(self, operation: Operation) -> Handler:
        @signed
        async def answer(request: web.Request) -> web.StreamResponse:
            try:
                return _respond(request, 200, await self._perform(operation, request))
            except FanlightError as exc:
                return refusal(request, exc)
            except web.HTTPRequestTimeout:
                raise
            except Exception:
                logger.exception("%s failed", operation.path)
                return refusal(request, InternalError())

        return answer

    async def _perform(self, operation: Operation, request: web.Request) -> dict[str, object]:
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


@signed
async def unknown_operation(request: web.Request) -> web.Response:
    """Somebody calls what AWS may have, and we have not."""
    return refusal(request, UnknownOperationError())


def refusal(request: web.Request, error: FanlightError) -> web.Response:
    """`error` as botocore and the other SDKs read it."""
    told = told_of(error)
    if told is not error:
        logger.warning("%s failed: %s", request.path, error)
    logger.debug("%s from %s: %d %s: %s", request.path, request.remote, told.status, told.type, told)
    body = {"message": str(told), "Message": str(told), "__type": told.type}
    response = _respond(request, told.status, body)
    response.headers["x-amzn-ErrorType"] = told.type
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
