"""A master as the source of an instance: connected while somebody wants its picture and it can be reached."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from typing import Protocol

from appliance.bus.peer_messages import PeerEvent, PeerReply
from appliance.errors import FanlightError, InvalidInputError, UnavailableError
from appliance.signaling import kinesis_viewer
from appliance.signaling.anbox import Answer, Candidate
from appliance.streamer.frames import AUDIO_CLOCK, Codec
from appliance.streamer.ingest.assembly import Arrived
from appliance.streamer.ingest.connection import IngestConnection, NoCodecError, NoSoundError
from appliance.streamer.ingest.receiver import Receiver
from appliance.streamer.ingest.timeline import Timeline
from appliance.streamer.mux import Mux
from appliance.streamer.talkspurts import EncodedAudio

logger = logging.getLogger(__name__)

AWAY = "the camera is away"
_NO_WAY = "no media comes from the camera: the network lets none through"
_CODECS = (Codec.H264, Codec.VP8)  # the first is what cameras encode in hardware
_ANSWER_S = 10.0
_CONNECT_S = 15.0
_QUIET_S, _SILENT_S = 2.0, 5.0
"""Senders report that often, whatever their picture does."""
_GONE_S = 1.5
"""The same, where it has come anew: what it sends, if it is another, it sends to somebody else."""
_LOOK_S = 0.25
_REPORT_S = 1.0
_AGAIN_S = (0.1, 1.0, 3.0, 10.0)
_MESSAGES_MAX = 128

Reply = Callable[[str, PeerReply], None]


class Watcher(Protocol):
    """Who wants the pictures."""

    def show(self, arrived: Arrived) -> None:
        """One more; the first one is a keyframe."""


class Ingest:
    """Offers to the master whenever the gateway has opened a way to it, and it is wanted.

    Until its codec is known it is wanted by us; `found` is called once, with that codec. `hear` gets the
    sound. `problem` says why there is no picture, for people.
    """

    def __init__(
        self, found: Callable[[Codec], None], hear: Callable[[EncodedAudio], None], kbps: int
    ) -> None:
        self.problem = AWAY
        self.on_problem: Callable[[str], None] = lambda _: None
        """Told of every new one."""
        self.codec: Codec | None = None
        self.description = "none from the camera"
        """Of the sound, for people."""
        self._known = asyncio.Event()
        self._found = found
        self._hear = hear
        self._kbps = kbps
        self._mux: Mux | None = None
        self._way: PeerEvent | None = None
        self._reply: Reply = lambda *_: None
        self._inbox: asyncio.Queue[Answer | Candidate | None] = asyncio.Queue()
        """None where the way to the master is gone, or another one."""
        self._watchers: list[Watcher] = []
        self._changed = asyncio.Event()
        self._opened_at = 0.0
        self._receiver: Receiver | None = None
        self._timeline = Timeline(AUDIO_CLOCK)
        self._with_sound = True

    async def settled(self) -> None:
        """Returns once the codec is known."""
        await self._known.wait()

    @contextlib.contextmanager
    def watch(self, watcher: Watcher) -> Iterator[None]:
        """Have the master send for as long."""
        self._watchers.append(watcher)
        self._changed.set()
        self.request_keyframe()
        try:
            yield
        finally:
            self._watchers.remove(watcher)

    def request_keyframe(self) -> None:
        """Coalesced by the caller."""
        if self._receiver:
            self._receiver.request_keyframe()

    def set_bitrate(self, kbps: int) -> None:
        """What the master is told that it may send, with the next report."""
        self._kbps = kbps

    def hear(self, event: PeerEvent, reply: Reply) -> None:
        """What the gateway says on the way between us and the master."""
        match event.kind:
            case "open":
                self._open(event, reply)
            case "message" if self._way and self._way.peer == event.peer:
                if self._inbox.qsize() < _MESSAGES_MAX and (said := _read(event.text)):
                    self._inbox.put_nowait(said)
            case "close" if self._way and self._way.peer == event.peer:
                self._way = None
                self._inbox.put_nowait(None)
                if not self._receiver:  # media goes on where it does: masters open their sockets again
                    self._suffer(AWAY)
        self._changed.set()

    def _open(self, event: PeerEvent, reply: Reply) -> None:
        if not self._way or self._way.peer != event.peer:
            logger.info("the master is there (%s)", event.peer)
            self._inbox.put_nowait(None)
            self._opened_at, self._with_sound = time.monotonic(), True
        self._way, self._reply = event, reply

    async def run(self, mux: Mux | None) -> None:
        """Until cancelled. Raises UnavailableError where another codec makes it necessary to start anew."""
        self._mux = mux
        failures = 0
        while True:
            way = await self._until_wanted()
            try:
                await self._attempt(way)
                failures = 0
            except NoSoundError:
                self._with_sound = False
            except NoCodecError as exc:
                if self.codec:
                    raise UnavailableError(f"the camera sends {self.codec} no more") from exc
                failures = self._failed(failures, "the camera sends no picture in H.264 or VP8")
            except InvalidInputError as exc:
                failures = self._failed(failures, f"the camera's {exc}")
            except FanlightError as exc:
                failures = self._failed(failures, str(exc))
            await self._pause(failures, way)

    def _failed(self, failures: int, problem: str) -> int:
        logger.warning("nothing comes from the master: %s", problem)
        self._suffer(problem)
        return failures + 1

    def _suffer(self, problem: str) -> None:
        if problem != self.problem:
            self.problem = problem
            if problem:
                self.on_problem(problem)

    async def _pause(self, failures: int, before: PeerEvent) -> None:
        """Not for long where the master comes anew, by another way than `before`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_AGAIN_S[min(failures, len(_AGAIN_S) - 1)]):
                while self._way in (before, None):
                    self._changed.clear()
                    await self._changed.wait()

    @property
    def _wanted(self) -> bool:
        return bool(self._watchers) or self.codec is None

    async def _until_wanted(self) -> PeerEvent:
        """The way to the master, once there is one."""
        while not (self._way and self._wanted):
            self._changed.clear()
            self._suffer("" if self._way else AWAY)
            await self._changed.wait()
        return self._way

    async def _attempt(self, way: PeerEvent) -> None:
        """One connection, from the offer until nobody wants it or nothing comes. Raises FanlightError."""
        connection = IngestConnection(way.ice_servers, self._mux, self._show, self._say)
        self._timeline.restart()
        try:
            receiver = await self._negotiate(connection, way)
            self._receiver = receiver
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(each) for each in (connection.send_feedback(), self._listen(connection))
                ]
                problem = await self._receive(connection, receiver)
                for task in tasks:
                    task.cancel()
        finally:
            self._receiver = None
            await connection.close()
        if problem:
            raise UnavailableError(problem)

    async def _negotiate(self, connection: IngestConnection, way: PeerEvent) -> Receiver:
        while not self._inbox.empty():
            self._inbox.get_nowait()
        sdp = await connection.offer([self.codec] if self.codec else _CODECS, sound=self._with_sound)
        self._reply(way.peer, PeerReply(kind="message", text=kinesis_viewer.offer(sdp)))
        early: list[Candidate] = []
        try:
            async with asyncio.timeout(_ANSWER_S):
                while isinstance(said := await self._inbox.get(), Candidate):
                    early.append(said)
        except TimeoutError:
            raise UnavailableError("the camera does not answer") from None
        if said is None:
            raise UnavailableError(AWAY)
        receiver, named = await connection.take_answer(said.sdp)
        for candidate in (*early, *named):
            self._inbox.put_nowait(candidate)
        if self.codec is None:
            logger.info("the master sends %s", receiver.codec)
            self.codec = receiver.codec
            self._found(receiver.codec)
            self._known.set()
        return receiver

    async def _listen(self, connection: IngestConnection) -> None:
        """For candidates."""
        while True:
            said = await self._inbox.get()
            if isinstance(said, Candidate):
                try:
                    await connection.add_candidate(said)
                except FanlightError as exc:
                    logger.info("a candidate of the master: %s", exc)

    async def _receive(self, connection: IngestConnection, receiver: Receiver) -> str:
        """Until nobody wants it any more; else why nothing comes."""
        try:
            async with asyncio.timeout(_CONNECT_S):
                await connection.decided.wait()
        except TimeoutError:
            return _NO_WAY
        if connection.ended.is_set():
            return _NO_WAY
        receiver.heard_at = time.monotonic()
        reported_at = 0.0
        while self._wanted and not connection.ended.is_set() and not self._is_silent(receiver):
            quiet = time.monotonic() - receiver.heard_at > _QUIET_S
            self._suffer("nothing comes from the camera" if quiet else "")
            if time.monotonic() - reported_at >= _REPORT_S:
                reported_at = time.monotonic()
                receiver.report(self._kbps)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await connection.ended.wait()
        return ""

    def _is_silent(self, receiver: Receiver) -> bool:
        anew = receiver.heard_at < self._opened_at
        return time.monotonic() - receiver.heard_at > (_GONE_S if anew else _SILENT_S)

    def _show(self, arrived: Arrived) -> None:
        self._suffer("")
        for watcher in tuple(self._watchers):
            watcher.show(arrived)

    def _say(self, opus: bytes, timestamp: int) -> None:
        self.description = "opus from the camera"
        if self._watchers:
            self._hear(EncodedAudio(opus, self._timeline.place(timestamp, time.monotonic_ns())))


def _read(text: str) -> Answer | Candidate | None:
    try:
        return kinesis_viewer.parse(text)
    except InvalidInputError as exc:
        logger.info("a message of the master: %s", exc)
        return None
