"""The AMS dialect: operations in the background, and events."""

import asyncio
import json
from typing import Any

from aiohttp import hdrs, web
from pydantic_core import to_jsonable_python

from appliance.ams.context import Context
from appliance.ams.dialect import EventsQuery, Listing, WaitQuery
from appliance.ams.envelope import OPERATIONS, failure, success
from appliance.ams.events import Listener
from appliance.ams.shown import OperationShown
from appliance.gateway.operations import answers, asks, fails

_HEARTBEAT_SECONDS = 20.0
_HEARD_BYTES = 1024
"""Who listens has nothing to say."""


class OperationRoutes:
    """Handlers below /1.0/operations, and /1.0/events."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> list[web.RouteDef]:
        """Every path."""
        return [
            web.get(OPERATIONS, self.list_operations),
            web.get(f"{OPERATIONS}/{{id}}", self.get_operation),
            web.get(f"{OPERATIONS}/{{id}}/wait", self.wait_for_operation),
            web.get("/1.0/events", self.events),
        ]

    @asks(Listing)
    @answers(200, dict[str, list[str]] | dict[str, list[OperationShown]])
    async def list_operations(self, _: web.Request, query: Listing) -> web.Response:
        """Addresses, or with `recursion` whole operations, by state; those that ended are soon forgotten."""
        found: dict[str, list[Any]] = {}
        for each in self._context.operations.list():
            shown = OperationShown.of(each)
            where = f"{OPERATIONS}/{each.id}"
            found.setdefault(shown.status.lower(), []).append(shown if query.recursion else where)
        return success(found)

    @answers(200, OperationShown)
    @fails(404)
    async def get_operation(self, request: web.Request) -> web.Response:
        """One operation."""
        operation = self._context.operations.get(request.match_info["id"])
        return success(OperationShown.of(operation))

    @asks(WaitQuery)
    @answers(200, OperationShown)
    @fails(404)
    async def wait_for_operation(self, request: web.Request, query: WaitQuery) -> web.Response:
        """The operation once it has ended; as it stands when the time is over."""
        operation = self._context.operations.get(request.match_info["id"])
        await operation.wait(query.seconds)
        return success(OperationShown.of(operation))

    @asks(EventsQuery)
    @answers(101, envelope="none")
    @fails(426)
    async def events(self, request: web.Request, query: EventsQuery) -> web.StreamResponse:
        """A WebSocket that tells what happens to instances and operations; who is too slow is cut off."""
        ws = web.WebSocketResponse(heartbeat=_HEARTBEAT_SECONDS, max_msg_size=_HEARD_BYTES, compress=False)
        if not ws.can_prepare(request):
            response = failure(426, "this is a WebSocket")
            response.headers[hdrs.UPGRADE] = "websocket"
            return response
        with self._context.events.listen(frozenset(query.type.split(","))) as listener:
            await ws.prepare(request)
            async with asyncio.TaskGroup() as group:
                telling = group.create_task(_tell(ws, listener))
                async for _ in ws:
                    pass
                telling.cancel()
        return ws


async def _tell(ws: web.WebSocketResponse, listener: Listener) -> None:
    while event := await listener.next():
        try:
            await ws.send_str(json.dumps(event, default=to_jsonable_python))
        except ConnectionError:
            return
    await ws.close()
