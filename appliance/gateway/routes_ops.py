"""What operators and probes call."""

import ipaddress
import logging
from collections.abc import Callable
from typing import Any, Literal

from aiohttp import web
from pydantic import BaseModel

from appliance.bus.messages import DRAINING, SessionStatus
from appliance.errors import NotFoundError, UnauthorizedError, UnavailableError
from appliance.gateway.accounts import token_of
from appliance.gateway.app import public
from appliance.gateway.context import Context
from appliance.gateway.envelope import plain
from appliance.gateway.openapi import describe
from appliance.gateway.operations import answers, fails, tells_more

logger = logging.getLogger(__name__)


class Status(BaseModel):
    """What probes are told."""

    status: Literal["ok", "ready"]


class OpsRoutes:
    """Handlers of health, metrics, the appliance's CA and the list of calls."""

    def __init__(
        self, context: Context, ca_pem: Callable[[], str | None], draining: Callable[[], bool]
    ) -> None:
        self._context = context
        self._draining = draining
        self._ca_pem = ca_pem
        self._described: dict[str, Any] = {}

    def routes(self) -> list[web.RouteDef]:
        """All of them."""
        return [
            web.get("/healthz", self.healthz),
            web.get("/readyz", self.readyz),
            web.get("/metrics", self.metrics),
            web.get("/internal/1.0/metrics", self.metrics),
            web.get("/ca.pem", self.ca),
            web.get("/openapi.json", self.openapi),
        ]

    @public
    @answers(200, Status, "none")
    async def healthz(self, _: web.Request) -> web.Response:
        """The process answers."""
        return plain(Status(status="ok"))

    @public
    @answers(200, Status, "none")
    async def readyz(self, _: web.Request) -> web.Response:
        """New sessions can be made: the bus answers, and this box is not being drained."""
        if self._draining():
            raise UnavailableError(DRAINING)
        if not self._context.bus.connected:
            raise UnavailableError("the bus does not answer")
        return plain(Status(status="ready"))

    @public
    @tells_more
    @answers(200, str, "none", media="text/plain")
    @fails(401)
    async def metrics(self, request: web.Request) -> web.Response:
        """Prometheus' text format, for this machine or with an API token."""
        if not _loopback(request.remote):
            token = token_of(request.headers, request.query)
            if not token:
                raise UnauthorizedError("metrics need an API token, or loopback")
            await self._context.accounts.authenticate(token)
        context = self._context
        statuses: list[SessionStatus] = []
        accounts = None
        try:
            statuses = [each.status for each in await context.sessions.list()]
            accounts = len(await context.accounts.list())
        except UnavailableError as exc:
            logger.debug("metrics without sessions and accounts: %s", exc)
        text = context.metrics.exposition(
            sockets=len(context.viewers.sockets),
            agents=len(context.registry.agents()),
            unresponsive=context.registry.unresponsive(),
            accounts=accounts,
            draining=self._draining(),
            sessions=statuses,
            stats=context.viewers.stats(),
        )
        return web.Response(body=text, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    @public
    @answers(200, str, "none", media="application/x-pem-file")
    @fails(404)
    async def ca(self, _: web.Request) -> web.Response:
        """The certificate that browsers may be told to trust."""
        pem = self._ca_pem()
        if pem is None:
            raise NotFoundError("this gateway has no CA of its own")
        return web.Response(text=pem, content_type="application/x-pem-file")

    @public
    @answers(200, dict[str, Any], "none")
    async def openapi(self, request: web.Request) -> web.Response:
        """Every call that this gateway has: its routes do not change while it runs."""
        self._described = self._described or describe(request.app.router.routes())
        return plain(self._described)


def _loopback(address: str | None) -> bool:
    try:
        return ipaddress.ip_address(address or "").is_loopback
    except ValueError:
        return False
