"""The AMS dialect: the server itself, its applications, and its one node."""

from typing import Any

from aiohttp import web

from appliance import __version__
from appliance.ams.context import Context
from appliance.ams.dialect import ApplicationShown, Listing, Server
from appliance.ams.envelope import Failure, enveloped, respond, success
from appliance.errors import NotFoundError
from appliance.gateway.app import CALLER, public
from appliance.gateway.openapi import Dialect, describe
from appliance.gateway.operations import answers, asks, fails, tells_more

APPLICATIONS = "/1.0/applications"
NODES = "/1.0/nodes"
AMS = Dialect(
    "Fanlight instance manager", "Instances of this box, from created to deleted.", enveloped, Failure
)


class MachineRoutes:
    """Handlers of /1.0, /1.0/applications and /1.0/nodes."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> list[web.RouteDef]:
        """Every path."""
        return [
            web.get("/openapi.json", self.openapi),
            web.get("/1.0", self.server),
            web.get(APPLICATIONS, self.list_applications),
            web.get(f"{APPLICATIONS}/{{id}}", self.get_application),
        ]

    @public
    @answers(200, dict[str, Any], "none")
    async def openapi(self, request: web.Request) -> web.Response:
        """Every call that this listener has."""
        return respond(describe(request.app.router.routes(), AMS), 200)

    @public
    @tells_more
    @answers(200, Server)
    async def server(self, request: web.Request) -> web.Response:
        """Who answers, and whether the caller is trusted."""
        auth = "trusted" if CALLER in request else "untrusted"
        return success(Server(auth=auth, server_version=__version__))

    @asks(Listing)
    @answers(200, list[str] | list[ApplicationShown])
    async def list_applications(self, _: web.Request, query: Listing) -> web.Response:
        """Addresses, or with `recursion` whole applications."""
        found = [ApplicationShown.of(each) for each in self._context.manager.applications()]
        return success([each if query.recursion else f"{APPLICATIONS}/{each.id}" for each in found])

    @answers(200, ApplicationShown)
    @fails(404)
    async def get_application(self, request: web.Request) -> web.Response:
        """One application."""
        wanted = request.match_info["id"]
        for each in self._context.manager.applications():
            if each.name == wanted:
                return success(ApplicationShown.of(each))
        raise NotFoundError(f"application {wanted!r} does not exist")
