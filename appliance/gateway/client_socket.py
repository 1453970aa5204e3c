"""A client's WebSocket. Who does not read what it is told is cut off, and holds nobody up."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable

from aiohttp import WSCloseCode, web
from aiohttp.abc import AbstractStreamWriter

_PATIENCE_SECONDS = 10.0
_FAREWELL_SECONDS = 1.0
_REASON_BYTES = 120


class ClientSocket(web.WebSocketResponse):
    """Waits for its client for a while only. `close` alone would wait for ever for one that does not read."""

    _connection: asyncio.Transport | None = None

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter:
        """Answer the upgrade."""
        self._connection = request.transport
        return await super().prepare(request)

    async def say(self, text: str) -> None:
        """Send `text` if it is not empty and somebody listens."""
        if text:
            await self._patiently(self.send_str(text))

    async def pong(self, message: bytes = b"") -> None:
        """Answer a ping, if somebody listens."""
        await self._patiently(super().pong(message))

    async def finish(self, code: WSCloseCode, reason: str = "", *, last: str = "") -> None:
        """Say `last`, and close."""
        async with self._cut_after(_FAREWELL_SECONDS):
            await self.say(last)
            await self.close(code=code, message=reason.encode()[:_REASON_BYTES])

    async def _patiently(self, sending: Awaitable[None]) -> None:
        async with self._cut_after(_PATIENCE_SECONDS):
            with contextlib.suppress(ConnectionError, RuntimeError):
                await sending

    @contextlib.asynccontextmanager
    async def _cut_after(self, seconds: float) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError:
            if self._connection:
                self._connection.abort()
