"""The AMS dialect: operations in the background, and events."""

import asyncio
import functools
import json
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from aiohttp import WSCloseCode, hdrs, web
from pydantic_core import to_jsonable_python

from appliance.ams.context import Context
from appliance.ams.dialect import EventsQuery, Listing, WaitQuery
from appliance.ams.envelope import OPERATIONS, failure, success
from appliance.ams.events import Listener
from appliance.ams.operations import Operation, Progress
from appliance.ams.shown import OperationShown
from appliance.gateway.app import CALLER
from appliance.gateway.client_socket import ClientSocket
from appliance.gateway.operations import answers, asks, fails
from appliance.gateway.routes_anbox import spelled

_HEARTBEAT_SECONDS = 20.0
_HEARD_BYTES = 1024
"""Who listens has nothing to say."""

Tell = Callable[[ClientSocket, Listener], Awaitable[None]]


class _Hearing:
    """Who listens, as a socket that ends with its account; it is not about any session."""

    session = ""

    def __init__(self, ws: ClientSocket, peer: str) -> None:
        self.peer = peer
        self._ws = ws

    async def end(self, reason: str) -> None:
        await self._ws.finish(WSCloseCode.POLICY_VIOLATION, reason)

    async def close(self) -> None:
        await self._ws.finish(WSCloseCode.GOING_AWAY)


class OperationRoutes:
    """Handlers below /1.0/operations, and /1.0/events."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> list[web.RouteDef]:
        """Every path."""
        return spelled(
            web.get(OPERATIONS, self.list_operations),
            web.get(f"{OPERATIONS}/{{id}}", self.get_operation),
            web.get(f"{OPERATIONS}/{{id}}/wait", self.wait_for_operation),
            web.get(f"{OPERATIONS}/{{id}}/websocket", self.follow_operation),
            web.get("/1.0/events", self.events),
        )

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

    @answers(101, envelope="none")
    @fails(404, 426)
    async def follow_operation(self, request: web.Request) -> web.StreamResponse:
        """A WebSocket that tells the operation as it stands, and once more when it has ended."""
        operation = self._context.operations.get(request.match_info["id"])
        return await self._listen(request, ("operation",), functools.partial(_tell_one, operation))

    @asks(EventsQuery)
    @answers(101, envelope="none")
    @fails(426)
    async def events(self, request: web.Request, query: EventsQuery) -> web.StreamResponse:
        """A WebSocket that tells what happens to instances and operations; who is too slow is cut off."""
        return await self._listen(request, query.type.split(","), _tell_all)

    async def _listen(self, request: web.Request, types: Iterable[str], tell: Tell) -> web.StreamResponse:
        ws = ClientSocket(heartbeat=_HEARTBEAT_SECONDS, max_msg_size=_HEARD_BYTES, compress=False)
        if not ws.can_prepare(request):
            response = failure(426, "this is a WebSocket")
            response.headers[hdrs.UPGRADE] = "websocket"
            return response
        hearing = _Hearing(ws, request[CALLER].new_peer())
        with self._context.events.listen(frozenset(types)) as listener:
            await ws.prepare(request)
            with self._context.holding(hearing):
                async with asyncio.TaskGroup() as group:
                    telling = group.create_task(_until_told(tell, ws, listener))
                    async for _ in ws:
                        pass
                    telling.cancel()
        return ws


async def _tell_all(ws: ClientSocket, listener: Listener) -> None:
    while event := await listener.next():
        await _say(ws, event)


async def _tell_one(operation: Operation, ws: ClientSocket, listener: Listener) -> None:
    told = OperationShown.of(operation)
    await _say(ws, told)
    while told.status == Progress.RUNNING.value[0] and (event := await listener.next()):
        if event["metadata"].id == operation.id:
            told = event["metadata"]
            await _say(ws, told)


async def _say(ws: ClientSocket, what: Any) -> None:
    await ws.say(json.dumps(what, default=to_jsonable_python))


async def _until_told(tell: Tell, ws: ClientSocket, listener: Listener) -> None:
    await tell(ws, listener)
    await ws.finish(WSCloseCode.OK)
