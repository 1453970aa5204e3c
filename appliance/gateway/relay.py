"""One signaling socket and the streamer of its session. Text goes through in order, unread."""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable

from aiohttp import WSCloseCode, WSMsgType

from appliance.bus.connection import Bus
from appliance.bus.messages import IceServer, SessionState, SessionStatus, StreamerHello
from appliance.bus.peer_messages import Opened, PeerEvent, PeerReply
from appliance.bus.subjects import down, hello, state, up
from appliance.errors import FanlightError, NotFoundError, UnavailableError
from appliance.gateway.client_socket import ClientSocket
from appliance.gateway.limits import RateLimit
from appliance.gateway.metrics import Metrics
from appliance.gateway.sessions import ENDED, SessionRecord
from appliance.signaling import anbox
from appliance.signaling.dialects import DIALECTS

logger = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 15.0
_HELD = 128
_BURST = 4
_OPEN_SECONDS = 3.0
_RETRY_SECONDS = 1.0
_TRIES = 5
"""After so many in vain, and again after as many, the session itself is looked at."""
_FLUSH_SECONDS = 5.0
STREAMER_PATIENCE_SECONDS = 30.0
BUS_PATIENCE_SECONDS = 10.0


class Relay:
    """Lives as long as the socket. The bus and the streamer may come and go meanwhile.

    `ice_servers` is asked whenever the streamer is told of the peer: credentials of TURN servers expire.
    `look_up` raises NotFoundError where there is no such session.
    """

    def __init__(
        self,
        ws: ClientSocket,
        bus: Bus,
        session: str,
        opening: PeerEvent,
        metrics: Metrics,
        *,
        ice_servers: Callable[[], list[IceServer]],
        look_up: Callable[[str], Awaitable[SessionRecord]],
        message_bytes: int,
        messages_per_second: float,
    ) -> None:
        self._ws = ws
        self._bus = bus
        self.session = session
        self.peer = opening.peer
        self._opening = opening
        self._dialect = DIALECTS[opening.dialect]
        self._metrics = metrics
        self._ice_servers = ice_servers
        self._look_up = look_up
        self._message_bytes = message_bytes
        self._rate = RateLimit(messages_per_second, messages_per_second * _BURST)
        self._held: deque[tuple[float, str]] = deque()
        self._wake = asyncio.Event()
        self._passed = asyncio.Event()
        self._reopen = False

    async def run(self) -> None:
        """Relay until the socket closes or is ended."""
        async with (
            self._bus.subscribe(down(self.session, self.peer), PeerReply) as replies,
            self._bus.subscribe(hello(self.session), StreamerHello) as hellos,
            self._bus.subscribe(state(self.session), SessionState) as states,
            asyncio.TaskGroup() as group,
        ):
            tasks = [
                group.create_task(each)
                for each in (
                    self._pass_down(replies),
                    self._watch_streamer(hellos),
                    self._watch_bus(),
                    self._watch_session(states),
                    self._pass_up(),
                )
            ]
            try:
                await self._read()
                await self._flush()
            finally:
                for task in tasks:
                    task.cancel()
                with contextlib.suppress(UnavailableError):
                    await self._bus.publish(up(self.session), PeerEvent(kind="close", peer=self.peer))

    async def end(self, reason: str) -> None:
        """Tell the client that it is over, and close."""
        last = self._dialect.end(reason) if self._opening.page else self._dialect.error(reason)
        await self._ws.finish(WSCloseCode.GOING_AWAY, reason, last=last)

    async def close(self) -> None:
        """Close without an end: the page comes back by itself, others hear that they have to."""
        last = "" if self._opening.page else self._dialect.away()
        await self._ws.finish(WSCloseCode.GOING_AWAY, last=last)

    async def _refuse(self, reason: str, code: WSCloseCode) -> None:
        logger.info("session %s: socket of %s closed: %s", self.session, self.peer, reason)
        self._metrics.refused.labels("socket").inc()
        await self._ws.finish(code, reason, last=self._dialect.error(reason))

    async def _read(self) -> None:
        async for message in self._ws:
            if message.type is not WSMsgType.TEXT:
                return await self._refuse("only text messages are understood", WSCloseCode.UNSUPPORTED_DATA)
            text: str = message.data
            if len(text.encode()) > self._message_bytes:
                return await self._refuse(
                    f"a message may have {self._message_bytes} bytes", WSCloseCode.MESSAGE_TOO_BIG
                )
            if not self._rate.allows() or len(self._held) >= _HELD:
                return await self._refuse("too many messages", WSCloseCode.POLICY_VIOLATION)
            self._hold(text)
        return None

    def _hold(self, *texts: str) -> None:
        self._held.extend((time.monotonic(), text) for text in texts)
        self._wake.set()

    async def _flush(self) -> None:
        """A client closes as soon as it is connected: its answer, said just before, must still arrive."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FLUSH_SECONDS):
                while self._held:
                    self._passed.clear()
                    await self._passed.wait()

    async def _pass_down(self, replies: AsyncIterator[tuple[str, PeerReply]]) -> None:
        async for _, reply in replies:
            if reply.kind == "close":
                await self._ws.finish(WSCloseCode.OK, reply.text)
            elif reply.text:
                await self._ws.say(reply.text)
                self._metrics.relayed.labels("down").inc()

    async def _watch_streamer(self, hellos: AsyncIterator[tuple[str, StreamerHello]]) -> None:
        async for _ in hellos:
            self._open_again()

    async def _watch_bus(self) -> None:
        epoch = self._bus.epoch
        while True:
            epoch = await self._bus.reconnected(epoch)
            self._open_again()

    def _open_again(self) -> None:
        self._reopen = True
        self._wake.set()

    async def _watch_session(self, states: AsyncIterator[tuple[str, SessionState]]) -> None:
        async for _, news in states:
            if news.status in ENDED:
                await self.end(_why_over(news.status, news.message))

    async def _pass_up(self) -> None:
        opening = self._opening
        while opened := await self._open(opening):
            if opening.resumed and not opened.known:
                self._resume()
            opening = self._opening.model_copy(update={"resumed": True})
            await self._forward()
        self._drop_held()

    def _resume(self) -> None:
        """The streamer does not know what was said before."""

    def _drop_held(self) -> None:
        self._held.clear()
        self._passed.set()

    async def _forward(self) -> None:
        """Publish what the client says until the streamer must be asked anew."""
        while True:
            self._wake.clear()
            while self._held and not self._reopen and self._bus.connected:
                event = PeerEvent(
                    kind="message", peer=self.peer, text=self._held[0][1], dialect=self._opening.dialect
                )
                try:
                    await self._bus.publish(up(self.session), event)
                except UnavailableError as exc:
                    logger.info("session %s: message of %s not relayed: %s", self.session, self.peer, exc)
                    await self._ws.say(self._dialect.error("the message could not be relayed"))
                self._held.popleft()
                self._passed.set()
                self._metrics.relayed.labels("up").inc()
            if self._reopen or (self._held and not self._bus.connected):
                return
            await self._wake.wait()

    async def _open(self, opening: PeerEvent) -> Opened | None:
        """Have the streamer know this peer, however long it takes; None where it is over."""
        began, told, tries = time.monotonic(), False, 0
        while True:
            self._reopen = False
            tries += 1
            event = opening.model_copy(update={"ice_servers": self._ice_servers()})
            try:
                return await self._bus.request(up(self.session), event, Opened, timeout_s=_OPEN_SECONDS)
            except UnavailableError:
                if self._opening.page and not told:
                    await self._ws.say(anbox.wait(self._why()))
                    told = True
            except FanlightError as exc:
                await self._refuse(str(exc), WSCloseCode.POLICY_VIOLATION)
                return None
            if not opening.resumed and time.monotonic() - began > STREAMER_PATIENCE_SECONDS:
                await self._refuse(self._why(), WSCloseCode.TRY_AGAIN_LATER)
                return None
            if tries % _TRIES == 0 and (reason := await self._over()):
                await self.end(reason)
                return None
            await self._give_up_on_old()
            await self._pause()

    async def _over(self) -> str:
        """Why the session has ended, if it has: that is said once, maybe while the bus was away."""
        try:
            record = await self._look_up(self.session)
        except NotFoundError as exc:
            return str(exc)
        except UnavailableError:
            return ""
        return _why_over(record.status, record.status_message) if record.status in ENDED else ""

    def _why(self) -> str:
        if not self._bus.connected:
            return "the gateway has lost its connection to the box"
        return "the application does not answer yet"

    async def _give_up_on_old(self) -> None:
        patience = STREAMER_PATIENCE_SECONDS if self._bus.connected else BUS_PATIENCE_SECONDS
        if self._held and time.monotonic() - self._held[0][0] > patience:
            self._drop_held()
            await self._ws.say(self._dialect.error(self._why()))

    async def _pause(self) -> None:
        """Until a streamer says hello or the bus is back, but not for long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_RETRY_SECONDS):
                while not self._reopen:
                    self._wake.clear()
                    await self._wake.wait()


def _why_over(status: SessionStatus, message: str) -> str:
    return message or f"the session is {status}"
