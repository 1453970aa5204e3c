"""What operators and probes call."""

import ipaddress
from collections.abc import Callable
from typing import Any

from aiohttp import web

from appliance import __version__
from appliance.errors import NotFoundError, UnauthorizedError, UnavailableError
from appliance.gateway.accounts import token_of
from appliance.gateway.app import public
from appliance.gateway.context import Context
from appliance.gateway.envelope import plain


class OpsRoutes:
    """Handlers of health, metrics, the appliance's CA and the list of calls."""

    def __init__(self, context: Context, ca_pem: Callable[[], str | None]) -> None:
        self._context = context
        self._ca_pem = ca_pem

    def routes(self) -> list[web.RouteDef]:
        """All of them."""
        return [
            web.get("/healthz", self.healthz),
            web.get("/readyz", self.readyz),
            web.get("/metrics", self.metrics),
            web.get("/ca.pem", self.ca),
            web.get("/openapi.json", self.openapi),
        ]

    @public
    async def healthz(self, _: web.Request) -> web.Response:
        """The process answers."""
        return plain({"status": "ok"})

    @public
    async def readyz(self, _: web.Request) -> web.Response:
        """New sessions can be made: the bus answers."""
        if not self._context.bus.connected:
            raise UnavailableError("the bus does not answer")
        return plain({"status": "ready"})

    @public
    async def metrics(self, request: web.Request) -> web.Response:
        """Prometheus' text format, for this machine or with an API token."""
        if not _loopback(request.remote):
            token = token_of(request.headers, request.query)
            if not token:
                raise UnauthorizedError("metrics need an API token, or loopback")
            await self._context.accounts.authenticate(token)
        context = self._context
        try:
            statuses = [each.status for each in await context.sessions.list()]
        except UnavailableError:
            statuses = []
        text = context.metrics.exposition(
            sockets=len(context.viewers.sockets),
            agents=len(context.registry.agents()),
            unresponsive=context.registry.unresponsive(),
            sessions=statuses,
            stats=context.viewers.stats(),
        )
        return web.Response(body=text, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    @public
    async def ca(self, _: web.Request) -> web.Response:
        """The certificate that browsers may be told to trust."""
        pem = self._ca_pem()
        if pem is None:
            raise NotFoundError("this gateway has no CA of its own")
        return web.Response(text=pem, content_type="application/x-pem-file")

    @public
    async def openapi(self, request: web.Request) -> web.Response:
        """Every call that this gateway really has, with its first words of documentation."""
        paths: dict[str, dict[str, Any]] = {}
        for route in request.app.router.routes():
            path = route.resource.canonical if route.resource else ""
            if not path or path != path.rstrip("/") or route.method in ("HEAD", "*"):
                continue
            summary = (route.handler.__doc__ or "").strip().partition("\n")[0]
            parameters = [
                {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
                for name in (["id"] if "{id}" in path else [])
            ]
            paths.setdefault(path, {})[route.method.lower()] = {
                "summary": summary,
                "parameters": parameters,
                "responses": {
                    "default": {"description": "JSON; errors as {type, status, status_code, error}"}
                },
            }
        return plain(
            {"openapi": "3.1.0", "info": {"title": "Fanlight", "version": __version__}, "paths": paths}
        )


def _loopback(address: str | None) -> bool:
    try:
        return ipaddress.ip_address(address or "").is_loopback
    except ValueError:
        return False
