"""How long one socket of the Kinesis dialect lives, and what is read from it meanwhile."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Coroutine

from aiohttp import WSCloseCode, WSMsgType

from appliance.gateway.client_socket import ClientSocket
from appliance.gateway.kinesis.quotas import GRACE_SECONDS, Quotas
from appliance.signaling import kinesis

HEARTBEAT_SECONDS = 30.0
"""Browsers cannot ping."""
ORPHAN_SECONDS = 600.0
"""As long as AWS keeps any connection on which nothing is said."""
_FOREVER = 1e6
_FRAME_BYTES = 1 << 20
"""Larger frames are not even read."""


class Lifetime:
    """A socket that answers pings itself, since AWS takes them for a sign of life."""

    def __init__(self, quotas: Quotas) -> None:
        self.ws = ClientSocket(
            heartbeat=HEARTBEAT_SECONDS, autoping=False, max_msg_size=_FRAME_BYTES, compress=False
        )
        self._connected_s = quotas.connected_s or _FOREVER
        self._idle_s = quotas.idle_s or _FOREVER
        self._began = self._heard = time.monotonic()
        self._news = asyncio.Event()
        self._leaving = self._relays_changed = False

    def leave(self) -> None:
        """Its time is over: the gateway goes, and the client should come back elsewhere or later."""
        self._leaving = True
        self._news.set()

    def orphan(self) -> None:
        """A newer connection took over: this one stays while something is said on it, and no longer."""
        self._idle_s = min(self._idle_s, ORPHAN_SECONDS)
        self._heard = time.monotonic()
        self._news.set()

    def change_relays(self) -> None:
        """Have the client ask for ICE servers again."""
        self._relays_changed = True
        self._news.set()

    async def texts(self) -> AsyncIterator[str]:
        """The text frames, until it is closed; a binary one closes it."""
        async for message in self.ws:
            match message.type:
                case WSMsgType.TEXT:
                    self._heard = time.monotonic()
                    yield message.data
                case WSMsgType.PING:
                    self._heard = time.monotonic()
                    await self.ws.pong(message.data)
                case WSMsgType.BINARY:
                    await self.ws.finish(WSCloseCode.UNSUPPORTED_DATA, "only text messages are understood")

    async def limit(self, serving: Coroutine[None, None, None]) -> None:
        """Await `serving` the socket; meanwhile the client hears what the gateway has to say, and the end."""
        async with asyncio.TaskGroup() as group:
            ending = group.create_task(self._run_out())
            try:
                await serving
            finally:
                ending.cancel()

    async def _run_out(self) -> None:
        while (left := self._left()) > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._news.wait()
            self._news.clear()
            if self._relays_changed:
                self._relays_changed = False
                await self.ws.say(kinesis.reconnect_ice_server())
        await self.ws.say(kinesis.go_away())
        await asyncio.sleep(GRACE_SECONDS)
        await self.ws.finish(WSCloseCode.GOING_AWAY, "Going away")

    def _left(self) -> float:
        if self._leaving:
            return 0.0
        return min(self._began + self._connected_s, self._heard + self._idle_s) - time.monotonic()
