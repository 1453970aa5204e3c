"""One viewer in the cloud, as a peer of the session: it lives as long as its media, whatever sockets do."""

import asyncio
import contextlib
import hashlib
import logging
import secrets
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Literal

from appliance.bus.connection import Bus
from appliance.bus.messages import IceServer, Role, StreamerHello
from appliance.bus.peer_messages import Opened, PeerEvent, PeerReply
from appliance.bus.stats import ViewerStats
from appliance.bus.subjects import down, hello, up
from appliance.errors import FanlightError, UnavailableError
from appliance.signaling import kinesis
from appliance.signaling.kinesis import Action, Delivery, Request

logger = logging.getLogger(__name__)

_OPEN_SECONDS, _RETRY_SECONDS = 3.0, 1.0
_CONNECT_SECONDS = 45.0
"""From an offer on; a streamer gives up sooner."""
_HELD = 128


class CloudViewer:
    """Calls `say` with what the streamer answers to `client`."""

    def __init__(
        self,
        client: str,
        bus: Bus,
        role: Role,
        *,
        ice_servers: Callable[[], Awaitable[list[IceServer]]],
        say: Callable[[Request], None],
    ) -> None:
        self.client = client
        self.peer = f"c{hashlib.sha256(client.encode()).hexdigest()[:16]}-{secrets.token_hex(12)}"
        self.connected = False
        self._bus = bus
        self._role = role
        self._ice_servers = ice_servers
        self._say = say
        self._unanswered: list[str] = []
        self._held: deque[str] = deque()
        self._offered = self._reopen = self._attached = self._present = False
        self._wake = asyncio.Event()
        self._over = asyncio.Event()
        self._patience = asyncio.timeout(_CONNECT_SECONDS)

    @property
    def over(self) -> bool:
        """Whether it is on its way out."""
        return self._over.is_set()

    def receive(self, delivery: Delivery) -> None:
        """What the viewer sent. An offer begins anew; candidates may be there before it."""
        text = kinesis.request(Request(delivery.action, delivery.payload))
        if delivery.action is Action.OFFER:
            early = [] if self._offered else self._unanswered
            self._offered, self._unanswered = True, [text, *early]
            self._held = deque(self._unanswered)
            self._open_again()
        elif max(len(self._held), len(self._unanswered)) < _HELD:
            if self._unanswered or not self._offered:
                self._unanswered.append(text)
            self._held.append(text)
            self._wake.set()

    def seen(self, found: ViewerStats | None) -> None:
        """What the streamer's statistics say of this peer."""
        if found:
            self._present = True
            if found.state == "connected" and not self.connected:
                self.connected = True
                self._wake.set()
        elif self._present and self._unanswered:
            self._open_again()
        elif self._present:
            self.end()

    def end(self) -> None:
        """Its media is gone, or never came."""
        self._over.set()

    async def run(self, session: str) -> None:
        """Serve it until `end`, or until it has not connected in time."""
        async with (
            self._bus.subscribe(down(session, self.peer), PeerReply) as replies,
            self._bus.subscribe(hello(session), StreamerHello) as hellos,
            asyncio.TaskGroup() as group,
        ):
            tasks = [
                group.create_task(each)
                for each in (self._pass_up(session), self._pass_down(replies), self._watch_streamer(hellos))
            ]
            try:
                async with self._patience:
                    await self._over.wait()
            except TimeoutError:
                logger.info("viewer %s did not connect", self.peer)
            finally:
                self._over.set()
                for task in tasks:
                    task.cancel()
                await self._detach(session)

    def _open_again(self) -> None:
        self._reopen = True
        self.connected = self._attached = self._present = False
        self._wake.set()

    async def _pass_up(self, session: str) -> None:
        while True:
            self._wake.clear()
            if self._reopen:
                await self._open(session)
            while self._offered and self._held and not self._reopen:
                await self._publish(session, "message", self._held.popleft())
            if self.connected and self._attached:
                self._patience.reschedule(None)
                await self._detach(session)
            await self._wake.wait()

    async def _open(self, session: str) -> None:
        """However long the streamer takes to be there: patience ends with `_CONNECT_SECONDS`.

        One that does not know this peer is told again what was not answered.
        """
        self._reopen = False
        self._patience.reschedule(asyncio.get_running_loop().time() + _CONNECT_SECONDS)
        opening = PeerEvent(
            kind="open",
            peer=self.peer,
            dialect="kinesis",
            role=self._role,
            label=f"cloud {self.client}",
            ice_servers=await self._ice_servers(),
        )
        while not self._attached:
            try:
                opened = await self._bus.request(up(session), opening, Opened, timeout_s=_OPEN_SECONDS)
            except UnavailableError:
                await asyncio.sleep(_RETRY_SECONDS)
            except FanlightError as exc:
                logger.info("viewer %s is refused: %s", self.peer, exc)
                self.end()
                return
            else:
                self._attached = True
                if not opened.known:
                    self._held = deque(self._unanswered)

    async def _detach(self, session: str) -> None:
        """Say that no socket holds this peer: it goes with its media."""
        self._attached = False
        await self._publish(session, "close")

    async def _publish(self, session: str, kind: Literal["message", "close"], text: str = "") -> None:
        event = PeerEvent(kind=kind, peer=self.peer, text=text, dialect="kinesis")
        with contextlib.suppress(UnavailableError):
            await self._bus.publish(up(session), event)

    async def _pass_down(self, replies: AsyncIterator[tuple[str, PeerReply]]) -> None:
        async for _, reply in replies:
            match kinesis.read_event(reply.text):
                case Delivery(action, payload):
                    if action is Action.ANSWER:
                        self._unanswered = []
                    self._say(Request(action, payload, recipient=self.client))
            if reply.kind == "close":
                self.end()

    async def _watch_streamer(self, hellos: AsyncIterator[tuple[str, StreamerHello]]) -> None:
        """One that started anew does not know what the one before it was told."""
        async for _ in hellos:
            if self._unanswered and self._offered:
                self._open_again()
