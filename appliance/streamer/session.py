"""The streamer's side of the bus: who comes, who goes, and what the others should know."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, TypeAlias

from pydantic import BaseModel

from appliance.bus import subjects
from appliance.bus.beat import on_beat, until_beat
from appliance.bus.connection import Bus
from appliance.bus.messages import SessionState, SessionStatus, StreamerHello
from appliance.bus.peer_messages import Opened, PeerEvent, PeerReply
from appliance.bus.stats import InstanceStats, ViewerStats
from appliance.errors import (
    FanlightError,
    InvalidInputError,
    LimitExceededError,
    NotFoundError,
    UnavailableError,
)
from appliance.signaling.dialects import DIALECTS
from appliance.streamer.garbage import Garbage
from appliance.streamer.ingest.ingest import Ingest
from appliance.streamer.orphans import Orphans
from appliance.streamer.peer import Peer
from appliance.streamer.shard.remote_peer import RemotePeer
from appliance.streamer.stage import Stage

logger = logging.getLogger(__name__)

_STATS_SECONDS = 1.0
"""On a still screen the statistics stand still too: only those of the beat are told."""
_MEASURED_AT_ONCE = 8
"""Viewers in one turn of the loop: frames of the others go first."""
_HELLO_PAUSES = (0.0, 1.0, 4.0)
"""After an outage a gateway may come back to the bus later than we do."""
_PLACE_TAKEN = "somebody who may control came, and there was no other place"
_TAKEN_OVER = "another client took over"
_STARTED_AGAIN = "the streamer started again"
_KICKED = "disconnected by an administrator"

Elsewhere: TypeAlias = Callable[[PeerEvent, int, Callable[[str, PeerReply], None]], RemotePeer | None]


class Session:
    """Serves session `session` of the stage's instance.

    `ready` returns once there is a picture; `measure` makes the statistics of the instance from those of its
    viewers. `elsewhere` finds a place in another process for who opens, told how many are served in this one;
    None where there is none. `ingest` hears of the way to the master whose picture it is, if it is one's.
    """

    def __init__(
        self,
        session: str,
        stage: Stage,
        bus: Bus,
        *,
        ready: Callable[[], Awaitable[None]],
        measure: Callable[[list[ViewerStats]], InstanceStats],
        elsewhere: Elsewhere = lambda *_: None,
        ingest: Ingest | None = None,
        garbage: Garbage | None = None,
    ) -> None:
        self._session = session
        self._stage = stage
        self._bus = bus
        self._ready = ready
        self._measure = measure
        self._elsewhere = elsewhere
        self._ingest = ingest
        self._garbage = garbage or Garbage()
        self._peers: dict[str, Peer | RemotePeer] = {}
        self._visits = self._farewells = 0
        self._left = asyncio.Event()
        self._replies: asyncio.Queue[tuple[str, PeerReply]] = asyncio.Queue()
        self._group: asyncio.TaskGroup | None = None
        self._active = False

    async def run(self) -> None:
        """Serve until cancelled. An outage of the bus touches no viewer."""
        serving = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            self._group = group
            group.create_task(
                self._bus.serve(subjects.up(self._session), PeerEvent, self._on_event, started=serving)
            )
            group.create_task(self._send_replies())
            group.create_task(self._tick())
            group.create_task(Orphans(self._bus, self._session, self._peers.values).run())
            await serving.wait()
            group.create_task(self._announce())
            group.create_task(self._become_active())

    def tell_clipboard(self, text: str) -> None:
        """The screen's clipboard changed: for those who may type there."""
        for peer in self._peers.values():
            if peer.role.controls:
                peer.tell_clipboard(text)

    def notice(self, text: str) -> None:
        """Something to show to everybody."""
        for peer in self._peers.values():
            peer.notice(text)

    async def _on_event(self, event: PeerEvent) -> Opened:
        # Nothing here waits, so the events of a peer keep their order.
        if event.source:
            if self._ingest is None:
                raise InvalidInputError("source: the picture of this instance is no master's")
            self._ingest.hear(event, self._reply)
            return Opened()
        if event.kind == "open":
            return Opened(known=self._open(event))
        if event.kind == "keyframe":
            for rendition in self._stage.sources.renditions.values():
                rendition.request_keyframe()
        elif event.kind == "notice":
            self.notice(event.text)
        elif peer := self._peers.get(event.peer):
            match event.kind:
                case "message":
                    peer.receive(event.text)
                case "close":
                    peer.closed()
                case "kick":
                    peer.end(event.text or _KICKED)
        elif event.dialect == "whep":
            raise NotFoundError(f"viewer {event.peer} is not here (any more)")
        elif event.kind == "message":
            logger.debug("a message of the unknown peer %s", event.peer)
            if text := DIALECTS[event.dialect].error("this peer is not known here"):
                self._reply(event.peer, PeerReply(kind="message", text=text))
        return Opened()

    def _open(self, event: PeerEvent) -> bool:
        """Whether this peer was there already."""
        known = self._peers.get(event.peer)
        if known and not known.ended:
            known.opened(event)
            return True
        if event.exclusive:
            for other in list(self._peers.values()):
                if other.exclusive:
                    other.end(_TAKEN_OVER)
        present = [peer for peer in self._peers.values() if not peer.ended]
        if len(present) >= self._stage.spec.viewers_max and not _made_room(present, event):
            raise LimitExceededError(f"the session has {len(present)} viewers, and takes no more")
        if self._group is None:
            raise UnavailableError("the session is not served yet")
        here = sum(isinstance(peer, Peer) for peer in present)
        peer = self._elsewhere(event, here, self._reply) or Peer(
            event, self._stage, reply=self._reply, adopt=self._adopt
        )
        self._peers[event.peer] = peer
        self._group.create_task(self._host(peer), name=f"viewer {event.peer}")
        if event.resumed and event.fluent:
            peer.signal(DIALECTS[event.dialect].restart(_STARTED_AGAIN))
        elif event.resumed:
            peer.end(_STARTED_AGAIN)
        return False

    async def _host(self, peer: Peer | RemotePeer) -> None:
        try:
            await peer.run()
        except Exception:
            logger.exception("viewer %s failed", peer.id)
        finally:
            if self._peers.get(peer.id) is peer:
                del self._peers[peer.id]
            self._visits += peer.visited
            self._farewells += peer.took_leave and peer.exclusive
            self._left.set()
            self._garbage.left(len(self._peers))
        if isinstance(peer, RemotePeer) and peer.homeless:
            self._house(peer)

    def _house(self, peer: RemotePeer) -> None:
        """Serve it by another process from now on."""
        try:
            self._open(peer.event.model_copy(update={"resumed": True}))
        except FanlightError as exc:
            peer.signal(DIALECTS[peer.event.dialect].end(str(exc)))
            self._reply(peer.id, PeerReply(kind="close", text=str(exc)))

    def _adopt(self, newcomer: Peer, peer: str) -> bool:
        viewer = self._peers.get(peer)
        if not isinstance(viewer, Peer) or viewer is newcomer or viewer.ended or not viewer.connected:
            return False
        if not viewer.may_continue_as(newcomer):
            logger.warning("viewer %s is not that of %s", peer, newcomer.id)
            return False
        del self._peers[peer]
        self._peers[newcomer.id] = viewer
        viewer.continues_as(newcomer)
        return True

    def _reply(self, peer: str, reply: PeerReply) -> None:
        self._replies.put_nowait((subjects.down(self._session, peer), reply))

    async def _send_replies(self) -> None:
        while True:
            await self._publish(*await self._replies.get())

    async def _announce(self) -> None:
        """Say who serves the session: at the start, and to gateways that may have missed it in an outage."""
        resumed = self._stage.spec.resumed
        while True:
            epoch = self._bus.epoch
            for pause in _HELLO_PAUSES:
                await asyncio.sleep(pause)
                hello = StreamerHello(instance=self._stage.spec.instance, resumed=resumed)
                await self._publish(subjects.hello(self._session), hello)
                if self._active:
                    await self._tell_active()
            await self._bus.reconnected(epoch)
            resumed = False

    async def _become_active(self) -> None:
        await self._ready()
        self._active = True
        await self._tell_active()

    async def _tell_active(self) -> None:
        state = SessionState(
            session=self._session, status=SessionStatus.ACTIVE, instance=self._stage.spec.instance
        )
        await self._publish(subjects.state(self._session), state)

    async def _tick(self) -> None:
        known = tuple[object, ...]()
        while True:
            before, known = known, self._pace_of_things()
            if known == before:
                self._garbage.nothing_moves()
            waiting = any(not peer.connected for peer in self._peers.values())
            if waiting or known != before or on_beat():
                await self._tell_stats()
            self._left.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(until_beat(_STATS_SECONDS)):
                    await self._left.wait()

    def _pace_of_things(self) -> tuple[object, ...]:
        """The same twice where nothing happened in between."""
        frames = sum(rendition.frames_encoded for rendition in self._stage.sources.renditions.values())
        peers = [(peer.id, peer.connected, peer.ended) for peer in self._peers.values()]
        return frames, self._stage.problem(), self._visits, peers

    async def _tell_stats(self) -> None:
        viewers = [self._measured(peer) async for peer in self._in_turns() if not peer.ended]
        stats = self._measure([each for each in viewers if each]).model_copy(
            update={"visits": self._visits, "farewells": self._farewells}
        )
        shown = stats.model_dump(mode="json", exclude={"viewers"})
        async for peer in self._in_turns():
            self._tell(peer, shown)
        if self._bus.connected:
            await self._publish(subjects.stats(stats.instance), stats)

    async def _in_turns(self) -> AsyncIterator[Peer | RemotePeer]:
        """All peers; the loop serves others in between."""
        for number, peer in enumerate(list(self._peers.values()), 1):
            yield peer
            if not number % _MEASURED_AT_ONCE:
                await asyncio.sleep(0)

    def _measured(self, peer: Peer | RemotePeer) -> ViewerStats | None:
        """None for a viewer that cannot be measured, which ends it alone."""
        try:
            return peer.stats()
        except Exception:
            logger.exception("viewer %s: not measured", peer.id)
            peer.end("internal error")
            return None

    def _tell(self, peer: Peer | RemotePeer, stats: dict[str, Any]) -> None:
        try:
            peer.tick(stats)
        except Exception:
            logger.exception("viewer %s: not told", peer.id)
            peer.end("internal error")

    async def _publish(self, subject: str, message: BaseModel) -> None:
        try:
            await self._bus.publish(subject, message)
        except UnavailableError as exc:
            logger.debug("lost: %s", exc)


def _made_room(present: Iterable[Peer | RemotePeer], newcomer: PeerEvent) -> bool:
    """Who may control never stays outside because of who watches: the one that came last goes."""
    watching = [each for each in present if not each.role.controls]
    if newcomer.role.controls and watching:
        watching[-1].end(_PLACE_TAKEN)
        return True
    return False
