"""A service that stands where Amazon's would be, and does what a gateway of ours never does."""

import asyncio
import base64
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

ARN = "arn:aws:kinesisvideo:eu-north-1:123456789012:channel/demo/1700000000000"


@dataclass
class StandIn:
    """The channel `demo`, whose master connects to `sockets`."""

    url: str = ""
    sockets: asyncio.Queue["Socket"] = field(default_factory=asyncio.Queue)
    calls: Counter[str] = field(default_factory=Counter)
    answers_pings: bool = True
    refused: dict[str, tuple[int, str, str]] = field(default_factory=dict)
    """By path: status, error type, message."""

    async def socket(self) -> "Socket":
        """The next one that the master opens."""
        async with asyncio.timeout(10):
            return await self.sockets.get()

    async def serve_call(self, request: web.Request) -> web.StreamResponse:
        self.calls[request.path] += 1
        if refused := self.refused.get(request.path):
            status, kind, message = refused
            return web.json_response({"message": message}, status=status, headers={"x-amzn-ErrorType": kind})
        match request.path:
            case "/describeSignalingChannel":
                return web.json_response({"ChannelInfo": {"ChannelName": "demo", "ChannelARN": ARN}})
            case "/getSignalingChannelEndpoint":
                endpoints = {"WSS": self.url.replace("http", "ws", 1) + "/master", "HTTPS": self.url}
                found = [{"Protocol": key, "ResourceEndpoint": url} for key, url in endpoints.items()]
                return web.json_response({"ResourceEndpointList": found})
            case "/v1/get-ice-server-config":
                server = {"Uris": ["turn:turn.example.org:443?transport=udp"], "Ttl": 300}
                return web.json_response({"IceServerList": [server | {"Username": "1:u", "Password": "p"}]})
            case "/master":
                ws = web.WebSocketResponse(autoping=self.answers_pings)
                await ws.prepare(request)
                socket = Socket(ws, dict(request.query))
                self.sockets.put_nowait(socket)
                async for message in ws:
                    socket.heard.put_nowait(message)
                socket.closed.set()
                return ws
        raise web.HTTPNotFound


@dataclass
class Socket:
    """A connection of the master."""

    ws: web.WebSocketResponse
    query: dict[str, str]
    heard: asyncio.Queue[aiohttp.WSMessage] = field(default_factory=asyncio.Queue)
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    async def say(self, kind: str, content: Any = None, sender: str = "", **more: Any) -> None:
        """`content` is sent as JSON in base64."""
        payload = base64.b64encode(json.dumps(content).encode()).decode() if content is not None else ""
        told = {"messageType": kind, "messagePayload": payload, **more}
        await self.ws.send_json(told | ({"senderClientId": sender} if sender else {}))

    async def next(self) -> dict[str, Any]:
        """What the master says."""
        async with asyncio.timeout(10):
            told: dict[str, Any] = json.loads((await self.heard.get()).data)
        return told


@contextlib.asynccontextmanager
async def stand_in() -> AsyncIterator[StandIn]:
    """On a free port of loopback."""
    there = StandIn()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", there.serve_call)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        there.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield there
    finally:
        await runner.cleanup()
