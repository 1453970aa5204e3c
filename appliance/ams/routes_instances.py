"""The AMS dialect: instances. What they run on, and what goes on in the background, is beside it."""

from aiohttp import web

from appliance import audit
from appliance.ams.context import Context
from appliance.ams.dialect import InstanceDelete, InstancePatch, InstancePost, Listing
from appliance.ams.envelope import OPERATIONS, begun, success
from appliance.ams.operations import Operation
from appliance.ams.roster import INSTANCES, Entry
from appliance.ams.shown import InstanceShown, OperationShown
from appliance.errors import NotFoundError, NotSupportedError
from appliance.gateway.app import CALLER
from appliance.gateway.operations import answers, asks, fails, takes
from appliance.gateway.routes_anbox import spelled


class InstanceRoutes:
    """Handlers below /1.0/instances."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> list[web.RouteDef]:
        """Every path."""
        return spelled(
            web.get(INSTANCES, self.list_instances),
            web.post(INSTANCES, self.create_instance),
            web.get(f"{INSTANCES}/{{id}}", self.get_instance),
            web.patch(f"{INSTANCES}/{{id}}", self.change_instance),
            web.delete(f"{INSTANCES}/{{id}}", self.delete_instance),
            web.post(f"{INSTANCES}/{{id}}/exec", self.run_in_instance),
            web.post(f"{INSTANCES}/{{id}}/shares", self.share_instance),
            web.get(f"{INSTANCES}/{{id}}/logs", self.list_logs),
            web.get(f"{INSTANCES}/{{id}}/logs/{{name}}", self.get_log),
        )

    @asks(Listing)
    @answers(200, list[str] | list[InstanceShown])
    async def list_instances(self, _: web.Request, query: Listing) -> web.Response:
        """Addresses, or with `recursion` whole instances; also those that others started."""
        entries = self._context.roster.list()
        return success(
            [self._shown(each) if query.recursion else f"{INSTANCES}/{each.id}" for each in entries]
        )

    @takes(InstancePost)
    @answers(202, OperationShown, "async", names=f"{OPERATIONS}/{{id}}")
    @fails(404, 409)
    async def create_instance(self, request: web.Request, post: InstancePost) -> web.Response:
        """Create an instance, and start it unless `no_start`; `enable_streaming` gives it a session."""
        entry = post.entry(self._context.manager.new_id())
        self._context.roster.create(entry)

        async def work() -> None:
            if not post.no_start:
                await self._context.roster.start(entry)

        _note("launch", request, entry)
        return _begun(
            self._context.operations.begin("Creating instance", [entry.id], work, warnings=post.ignored())
        )

    @answers(200, InstanceShown)
    @fails(404)
    async def get_instance(self, request: web.Request) -> web.Response:
        """One instance, by id or name."""
        return success(self._shown(self._entry(request)))

    @takes(InstancePatch)
    @answers(202, OperationShown, "async", names=f"{OPERATIONS}/{{id}}")
    @fails(404)
    async def change_instance(self, request: web.Request, patch: InstancePatch) -> web.Response:
        """Start or stop an instance; where it is so already, nothing happens."""
        entry, roster = self._entry(request), self._context.roster
        begin, warnings = self._context.operations.begin, patch.ignored()
        if patch.desired_status == "running":
            _note("launch", request, entry)
            work, description = roster.start, "Starting instance"
        else:
            _note("stop", request, entry)
            work, description = roster.stop, "Stopping instance"
        return _begun(begin(description, [entry.id], lambda: work(entry), warnings=warnings))

    @takes(InstanceDelete)
    @answers(202, OperationShown, "async", names=f"{OPERATIONS}/{{id}}")
    @fails(404)
    async def delete_instance(self, request: web.Request, how: InstanceDelete) -> web.Response:
        """Stop an instance, where it runs, and forget it."""
        entry = self._entry(request)
        _note("stop", request, entry)
        operation = self._context.operations.begin(
            "Deleting instance",
            [entry.id],
            lambda: self._context.roster.delete(entry, force=how.force),
            warnings=how.ignored(),
        )
        return _begun(operation)

    @fails(404, 501)
    async def run_in_instance(self, request: web.Request) -> web.Response:
        """Programs are started by the application of an instance, never by who calls."""
        raise NotSupportedError(f"instance {self._entry(request).id}: no commands can be run in it from here")

    @fails(404, 501)
    async def share_instance(self, request: web.Request) -> web.Response:
        """Shares are of sessions, which the gateway has."""
        where = "POST /1.0/sessions/<id>/share at the gateway"
        raise NotSupportedError(f"instance {self._entry(request).id}: its session is shared by {where}")

    @answers(200, list[str])
    @fails(404)
    async def list_logs(self, request: web.Request) -> web.Response:
        """Addresses of the logs of an instance; by its id for a while after it has ended."""
        instance = self._known(request)
        names = await self._context.manager.logbook.names(instance)
        return success([f"{INSTANCES}/{instance}/logs/{each}" for each in names])

    @answers(200, str, "none", media="text/plain")
    @fails(404)
    async def get_log(self, request: web.Request) -> web.Response:
        """One log: lines that begin with their time."""
        name = request.match_info["name"]
        return web.Response(text=await self._context.manager.logbook.read(self._known(request), name))

    def _known(self, request: web.Request) -> str:
        """The id of what is named, whether it is still there or not."""
        try:
            return self._entry(request).id
        except NotFoundError:
            return request.match_info["id"]

    def _entry(self, request: web.Request) -> Entry:
        return self._context.roster.get(request.match_info["id"])

    def _shown(self, entry: Entry) -> InstanceShown:
        return InstanceShown.of(entry, self._context.node)


def _note(event: str, request: web.Request, entry: Entry) -> None:
    audit.record(
        event,
        by=str(request[CALLER]),
        instance=entry.id,
        application=entry.application,
        address=request.remote,
    )


def _begun(operation: Operation) -> web.Response:
    return begun(operation.id, OperationShown.of(operation))
