"""The AMS dialect: the server itself, its applications, and its one node."""

import os
from typing import Any
from urllib.parse import quote

from aiohttp import web

from appliance import __version__
from appliance.ams.context import Context
from appliance.ams.dialect import Listing
from appliance.ams.envelope import Failure, enveloped, respond, success
from appliance.ams.shown import Allocation, ApplicationShown, GpuShown, NodeShown, Server
from appliance.errors import NotFoundError
from appliance.gateway.app import CALLER, public
from appliance.gateway.openapi import Dialect, describe
from appliance.gateway.operations import answers, asks, fails, tells_more
from appliance.gateway.routes_anbox import spelled
from appliance.instances.instance import FoundGpu

APPLICATIONS = "/1.0/applications"
NODES = "/1.0/nodes"
AMS = Dialect(
    "Fanlight instance manager",
    "Instances of this box, from created to deleted. Paths may end in a slash.",
    enveloped,
    Failure,
)


class MachineRoutes:
    """Handlers of /1.0, /1.0/applications and /1.0/nodes."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> list[web.RouteDef]:
        """Every path."""
        return spelled(
            web.get("/openapi.json", self.openapi),
            web.get("/1.0", self.server),
            web.get(APPLICATIONS, self.list_applications),
            web.get(f"{APPLICATIONS}/{{id}}", self.get_application),
            web.get(NODES, self.list_nodes),
            web.get(f"{NODES}/{{id}}", self.get_node),
        )

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

    @asks(Listing)
    @answers(200, list[str] | list[NodeShown])
    async def list_nodes(self, _: web.Request, query: Listing) -> web.Response:
        """The address of this box, or with `recursion` what it has."""
        return success([self._node() if query.recursion else f"{NODES}/{quote(self._context.node)}"])

    @answers(200, NodeShown)
    @fails(404)
    async def get_node(self, request: web.Request) -> web.Response:
        """This box: its GPUs, and what instances have of them."""
        wanted = request.match_info["id"]
        if wanted != self._context.node:
            raise NotFoundError(f"node {wanted!r} does not exist")
        return success(self._node())

    def _node(self) -> NodeShown:
        config, admission = self._context.config, self._context.manager.admission
        return NodeShown(
            name=self._context.node,
            cpus=os.cpu_count() or 1,
            memory=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            instances=len(admission.seats),
            instances_max=admission.total,
            scheduling=config.instances.scheduling,
            gpus=[self._gpu(number, gpu) for number, gpu in enumerate(self._context.machine.gpus())],
        )

    def _gpu(self, number: int, gpu: FoundGpu) -> GpuShown:
        slots = self._context.config.instances
        encodes = gpu.render_node in self._context.machine.encoding_gpus()
        taken = self._context.manager.admission.seats.items()
        return GpuShown(
            id=number,
            type=gpu.vendor.lower(),
            name=gpu.name,
            pci_address=gpu.pci,
            render_name=gpu.render_node,
            slots=slots.gpu_slots if encodes else 0,
            encoder_slots=slots.encoder_slots if encodes else 0,
            allocations={
                instance: Allocation(slots=seat.gpu_slots)
                for instance, seat in taken
                if seat.gpu == gpu.render_node
            },
            numa_node=gpu.numa_node,
        )
