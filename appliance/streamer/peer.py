"""One viewer: signaling, connection, control channel. What fails here fails for this viewer alone."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any, TypeVar

from appliance.bus.connection import heeding_cancellation
from appliance.bus.messages import Role
from appliance.bus.peer_messages import PeerEvent, PeerReply
from appliance.bus.stats import ViewerStats
from appliance.errors import FanlightError, InvalidInputError, LimitExceededError
from appliance.signaling import anbox, kinesis_master
from appliance.signaling.dialects import DIALECTS
from appliance.streamer.budget import Budget
from appliance.streamer.connection import Measured, MediaConnection
from appliance.streamer.control_channel import ControlChannel
from appliance.streamer.stage import Stage

logger = logging.getLogger(__name__)

CONNECT_SECONDS = 30
ORPHAN_SECONDS = 10
_INBOX_MAX = 128
_CLOSE_SECONDS = 1
_EARLY_MOST = 64
_ATTEMPTS_BURST, _ATTEMPT_SECONDS = 8, 2.0
"""Every new connection wants a keyframe, which all viewers pay for."""

T = TypeVar("T")


class Peer:
    """A signaling peer and, once it negotiated, the viewer behind it.

    `reply` speaks to the signaling socket of a peer by its id; `adopt` hands the viewer of another id over to
    this peer's socket, and tells whether there was one.
    """

    def __init__(
        self,
        event: PeerEvent,
        stage: Stage,
        *,
        reply: Callable[[str, PeerReply], None],
        adopt: Callable[["Peer", str], bool],
    ) -> None:
        self.id = event.peer
        self.took_leave = False
        """Whether it said itself that it leaves."""
        self.visited = False
        """Whether it ever connected."""
        self._event = event
        self._dialect = DIALECTS[event.dialect]
        self._stage = stage
        self._reply = reply
        self._adopt = adopt
        self._attempts = Budget(_ATTEMPTS_BURST, _ATTEMPT_SECONDS)
        self._inbox: asyncio.Queue[str | MediaConnection] = asyncio.Queue()
        self._ended = asyncio.Event()
        self._opened = time.monotonic()
        self._orphaned: float | None = None
        self._negotiated = 0.0
        self._settings = anbox.Settings()
        self._connection: MediaConnection | None = None
        self._early: list[anbox.Candidate] = []
        """What came before the offer that it belongs to."""
        self._refused = 0
        self._control = ControlChannel(self, event.peer, stage)

    @property
    def role(self) -> Role:
        """What this viewer may do."""
        return self._event.role

    @property
    def exclusive(self) -> bool:
        """Whether it takes over from its like, and they from it."""
        return self._event.exclusive

    @property
    def fluent(self) -> bool:
        """Whether it knows our own messages."""
        return self._event.fluent

    @property
    def ended(self) -> bool:
        """Whether it is on its way out."""
        return self._ended.is_set()

    @property
    def connected(self) -> bool:
        """Whether media can flow."""
        return self._connection is not None and self._connection.connected

    @property
    def speaks(self) -> bool:
        """Whether its microphone was agreed on."""
        return self._connection is not None and self._connection.speaks

    @property
    def orphaned(self) -> bool:
        """Whether its signaling socket is known to be gone."""
        return self._orphaned is not None

    async def run(self) -> None:
        """Serve this viewer until `end`."""
        try:
            async with asyncio.TaskGroup() as group:
                reading = group.create_task(self._read())
                await self._ended.wait()
                reading.cancel()
        finally:
            await self._disconnect()

    def receive(self, text: str) -> None:
        """A text from the signaling socket."""
        if len(text) > self._stage.spec.message_bytes:
            self._refuse(LimitExceededError(f"message: larger than {self._stage.spec.message_bytes} bytes"))
        elif self._inbox.qsize() >= _INBOX_MAX:
            self._refuse(LimitExceededError("message: too many at once"))
        else:
            self._inbox.put_nowait(text)

    def opened(self, event: PeerEvent) -> None:
        """The signaling socket is there (again)."""
        self._event = event
        self._orphaned = None
        if not self.role.controls:
            self._control.release()
        self._control.tell_role()

    def closed(self) -> None:
        """The signaling socket is gone; the picture goes on, if there is one."""
        self._orphaned = time.monotonic()
        if self.visited and self._connection is None:
            self._ended.set()

    def may_continue_as(self, other: "Peer") -> bool:
        """Whether `other` is the same client of the same owner, whose name starts all of its peers' ids."""
        return (self.id.partition("-")[0], self.exclusive) == (other.id.partition("-")[0], other.exclusive)

    def continues_as(self, other: "Peer") -> None:
        """From now on the signaling socket of `other`, which has no viewer, is this one's."""
        logger.info("viewer %s continues as %s", self.id, other.id)
        self.id = other.id
        while not other._inbox.empty():
            self._inbox.put_nowait(other._inbox.get_nowait())
        other._ended.set()
        self.opened(other._event)
        self.signal(anbox.adopted())

    def end(self, reason: str) -> None:
        """End it for good, and say why where somebody still listens."""
        if not self.ended and self._orphaned is None:
            self.signal(self._dialect.end(reason) if self.fluent else self._dialect.error(reason))
        self._part(reason)

    def tick(self, stats: dict[str, Any]) -> None:
        """Once a second: tell the page what is new, and give up on what never connected."""
        now = time.monotonic()
        if self._connection and self.connected:
            self._control.tell_role()
            if problem := self._connection.problem:
                stats = stats | {"problem": problem}
            self._control.announce("fanlight::stats", stats)
        elif self._orphaned is not None and now - self._orphaned > ORPHAN_SECONDS:
            self.end("its socket closed before it connected")
        elif self._connection and now - self._negotiated > CONNECT_SECONDS:
            self.signal(
                self._dialect.error("no media could reach you: the network in between lets none through")
            )
            self._inbox.put_nowait(self._connection)

    def notice(self, text: str) -> None:
        """Something to show to the viewer."""
        self._control.announce("fanlight::notice", {"text": text})

    def signal(self, text: str) -> None:
        """Send `text`, if it is not empty, through the signaling socket."""
        if text:
            self._reply(self.id, PeerReply(kind="message", text=text))

    def tell_clipboard(self, text: str) -> None:
        """The screen's clipboard changed."""
        self._control.tell_clipboard(text)

    def request_keyframe(self) -> None:
        """For its picture, if it has one."""
        if self._connection:
            self._connection.request_keyframe()

    def leave(self) -> None:
        """It said itself that it leaves, and need not be told why."""
        self.took_leave = True
        self._part("left")

    def stats(self) -> ViewerStats:
        """What is known of this viewer."""
        connection = self._connection
        measured = connection.measure() if connection else Measured()
        track = connection.track if connection else None
        uplink = connection.uplink if connection else None
        repeated = track.repeated if track else (None, None)
        return ViewerStats(
            id=self.id,
            label=self._event.label,
            role=self.role,
            dialect=self._event.dialect,
            address=self._event.address,
            codec=str(connection.codec or "") if connection else "",
            state="connected" if self.connected else "connecting" if connection else "waiting",
            age_s=round(time.monotonic() - self._opened, 1),
            latency_ms=self._control.latency_ms,
            frames_sent=track.frames_sent if track else 0,
            frames_dropped=track.frames_dropped if track else 0,
            nacks=connection.feedback.nacks if connection else 0,
            plis=connection.feedback.plis if connection else 0,
            firs=connection.feedback.firs if connection else 0,
            repeated_packets=repeated[0],
            repeated_bytes=repeated[1],
            microphone_packets=uplink.microphone_packets if uplink else 0,
            camera_frames=uplink.camera_frames if uplink else 0,
            **asdict(measured),
        )

    def _part(self, reason: str) -> None:
        if self.ended:
            return
        logger.info("viewer %s ends: %s", self.id, reason)
        if self._orphaned is None:
            self._reply(self.id, PeerReply(kind="close", text=reason))
        self._ended.set()

    async def _read(self) -> None:
        async with asyncio.TaskGroup() as resolving:
            while True:
                item = await self._inbox.get()
                try:
                    if isinstance(item, str):
                        await self._handle(self._dialect.parse(item), resolving)
                    elif item is self._connection:
                        await self._lost()
                except FanlightError as exc:
                    self._refuse(exc)
                except Exception:
                    logger.exception("viewer %s: signaling failed", self.id)
                    self.end("internal error")

    async def _handle(
        self, message: anbox.ClientMessage | kinesis_master.Join, resolving: asyncio.TaskGroup
    ) -> None:
        match message:
            case anbox.Discover():
                await self._take_screen()
                self.signal(anbox.resp_discover(fps=self._stage.fps()))
            case anbox.Settings():
                self._settings = message
                await self._take_screen()
                if problem := self._stage.problem():
                    self.signal(anbox.wait(problem))
                if message.api_version > 1:
                    connection = await self._connect()
                    self.signal(anbox.offer(await connection.offer(message)))
            case kinesis_master.Join():
                connection = await self._connect()
                self.signal(kinesis_master.offer(await connection.offer(self._settings, channel=False)))
            case anbox.Offer(sdp):
                connection = await self._connect()
                text, unresolved = await self._negotiate(connection.answer(sdp, self._settings))
                self.signal(self._dialect.answer(text))
                self._resolve(connection, [*unresolved, *self._early], resolving)
                self._early = []
            case anbox.Answer(sdp):
                connection = self._negotiating()
                self._resolve(connection, await self._negotiate(connection.take_answer(sdp)), resolving)
            case anbox.Candidate() if self._connection is None and len(self._early) < _EARLY_MOST:
                self._early.append(message)
            case anbox.Candidate():
                self._resolve(self._negotiating(), [message], resolving)
            case anbox.Adopt(peer):
                if not self._adopt(self, peer):
                    self.signal(anbox.restart("the stream has started anew"))
            case anbox.Ignored(kind):
                logger.debug("viewer %s: message %r is not known here", self.id, kind)

    async def _take_screen(self) -> None:
        """Who takes the controls has the screen that it asked for, from its first words on."""
        wish, self._event = self._event.screen, self._event.model_copy(update={"screen": None})
        if self.exclusive and wish:
            await self._stage.resize(wish)

    async def _negotiate(self, negotiation: Awaitable[T]) -> T:
        """A connection whose negotiation failed is of no more use."""
        try:
            return await negotiation
        except FanlightError:
            await self._disconnect()
            raise

    def _negotiating(self) -> MediaConnection:
        if self._connection is None:
            raise InvalidInputError("message: there was no offer yet")
        return self._connection

    def _resolve(
        self, connection: MediaConnection, candidates: list[anbox.Candidate], group: asyncio.TaskGroup
    ) -> None:
        for candidate in candidates:
            group.create_task(self._add_candidate(connection, candidate))

    async def _add_candidate(self, connection: MediaConnection, candidate: anbox.Candidate) -> None:
        try:
            await connection.add_candidate(candidate)
        except FanlightError as exc:
            self._refuse(exc, tell=not self.connected)
        except Exception:
            logger.exception("viewer %s: a candidate failed", self.id)

    async def _connect(self) -> MediaConnection:
        if not self._attempts.spend():
            raise LimitExceededError("message: too many new connections, slow down")
        if self._stage.settled:
            await self._stage.settled()
        await self._disconnect()
        event = self._event

        def changed(state: str) -> None:
            if state == "connected":
                self.visited = True
                logger.info("viewer %s connected as %s", self.id, self.role)
            elif state in ("failed", "closed"):
                self._inbox.put_nowait(connection)

        connection = MediaConnection(
            self._stage.sources,
            event.ice_servers,
            changed=changed,
            channel=self._control.use,
            controls=lambda: self.role.controls,
            on_sent=self._control.times.sent,
            mux=self._stage.mux,
            microphone=self._stage.microphone,
        )
        self._connection, self._negotiated = connection, time.monotonic()
        return connection

    async def _lost(self) -> None:
        logger.info("viewer %s: the connection is gone", self.id)
        await self._disconnect()
        if self._orphaned is not None:
            self._ended.set()

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        self._control.close()
        if connection:
            try:
                # A task that is being cancelled gets no TimeoutError from Python 3.11.2's asyncio.timeout.
                with heeding_cancellation():
                    await asyncio.wait_for(connection.close(), _CLOSE_SECONDS)
            except TimeoutError:
                logger.warning("viewer %s: its connection did not close in time", self.id)

    def _refuse(self, error: FanlightError, *, tell: bool = True) -> None:
        self._refused += 1
        # Once is enough to know of it: a viewer must not fill the log.
        level = logging.INFO if self._refused == 1 else logging.DEBUG
        logger.log(level, "viewer %s: %s", self.id, error)
        if tell:
            self.signal(self._dialect.error(str(error)))
