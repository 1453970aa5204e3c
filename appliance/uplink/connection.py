"""The signaling socket of the master: opened with a presigned URL, written at the rate that AWS takes."""

import asyncio
import contextlib
import ssl
import time
from collections import deque
from collections.abc import AsyncIterator, Callable

import aiohttp
from aiohttp import ClientHandlerType, ClientRequest, ClientResponse, WSMsgType
from yarl import URL

from appliance.signaling import kinesis
from appliance.signaling.kinesis import Request
from appliance.uplink.cloud import CloudError, refusal

_CONNECT_SECONDS = 10.0
_PING_SECONDS = 30.0
"""AWS ends connections that are silent for ten minutes; networks in between do so sooner."""
_MESSAGE_BYTES = 256 << 10
_BETWEEN_SECONDS = 0.2
"""AWS takes five descriptions a second."""
_KEPT = 128
_KEPT_SECONDS = 15.0
"""A viewer that hears nothing offers again, and an answer to what it said before would spoil that."""
_SWITCHING = 101


class Outbox:
    """What is to be said to viewers, also while no socket is open, but not for long."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._requests: deque[tuple[float, Request]] = deque(maxlen=_KEPT)
        self._filled = asyncio.Event()

    def put(self, request: Request) -> None:
        """The oldest is lost where far too much is waiting."""
        self._requests.append((self._clock() + _KEPT_SECONDS, request))
        self._filled.set()

    async def empty(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        """Send what there is until cancelled; what was not sent when it broke is kept for the next."""
        while True:
            self._filled.clear()
            while self._requests:
                oldest = self._requests[0]
                until, request = oldest
                if self._clock() >= until:
                    self._requests.popleft()
                    continue
                try:
                    await ws.send_str(kinesis.request(request))
                except ConnectionError:
                    await ws.close()
                    return
                if self._requests[0] is oldest:  # else it made room meanwhile
                    self._requests.popleft()
                await asyncio.sleep(_BETWEEN_SECONDS)
            await self._filled.wait()


@contextlib.asynccontextmanager
async def client(ca: str) -> AsyncIterator[aiohttp.ClientSession]:
    """Trusts the authorities of the system, or those in the file `ca`. Raises CloudError."""
    try:
        trust = await asyncio.to_thread(ssl.create_default_context, cafile=ca or None)
    except OSError as exc:
        raise CloudError(f"kinesis.uplink.ca: {ca}: {exc.strerror}") from exc
    connector = aiohttp.TCPConnector(ssl=trust)
    async with aiohttp.ClientSession(connector=connector, middlewares=(_accepted,)) as http:
        yield http


async def converse(
    http: aiohttp.ClientSession,
    url: str,
    outbox: Outbox,
    *,
    opened: Callable[[], None],
    hear: Callable[[str], bool],
) -> str:
    """Send from `outbox`, and call `hear` for each text until it returns False; why it ended.

    Raises CloudError where the socket is refused.
    """
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            ws = await http.ws_connect(
                URL(url, encoded=True),
                heartbeat=_PING_SECONDS,
                max_msg_size=_MESSAGE_BYTES,
                timeout=aiohttp.ClientWSTimeout(ws_close=1.0),
            )
    except TimeoutError:
        raise CloudError("the signaling service does not answer") from None
    except aiohttp.ClientConnectorError as exc:
        raise CloudError(f"{exc.host}: {exc.os_error}") from exc
    except aiohttp.ClientError as exc:  # its text may hold the URL, which proves who we are
        raise CloudError(f"the signaling service: {type(exc).__name__}") from None
    async with ws, asyncio.TaskGroup() as group:
        opened()
        writing = group.create_task(outbox.empty(ws))
        try:
            async for message in ws:
                if message.type is WSMsgType.TEXT and not hear(message.data):
                    return "told to go away"
        finally:
            writing.cancel()
    return f"closed with {ws.close_code}"


async def _accepted(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    """Raises CloudError with AWS's words, of which aiohttp's own error would hold none."""
    response = await handler(request)
    if response.status != _SWITCHING:
        kind = response.headers.get("x-amzn-ErrorType", "")
        text = (await response.text(errors="replace")).strip()
        raise refusal(f"{response.status} {kind} {text}".replace("  ", " "))
    return response
