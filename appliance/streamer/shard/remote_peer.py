"""A viewer that another process serves, as the session sees it."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Protocol

from appliance.bus.messages import Role
from appliance.bus.peer_messages import PeerEvent, PeerReply
from appliance.bus.stats import ViewerStats
from appliance.streamer.shard.wire import Happened, ToShard


class Shard(Protocol):
    """Where the viewer is served."""

    def order(self, message: ToShard) -> None:
        """Send to it; never waits."""

    def tick(self, stats: dict[str, Any]) -> None:
        """Tell all of its viewers; once, whichever of them it is called for."""

    def leave(self, peer: str) -> None:
        """It serves this one no more."""


class RemotePeer:
    """Stands in for a Peer. `homeless` after `run`: it must be served elsewhere, with `event`."""

    took_leave = False

    def __init__(self, event: PeerEvent, shard: Shard, reply: Callable[[str, PeerReply], None]) -> None:
        self.id = event.peer
        self.event = event
        self.homeless = False
        self.visited = False
        self._shard = shard
        self._reply = reply
        self._closed = False
        self._ending = False
        self._gone = asyncio.Event()
        self._began = time.monotonic()
        self._stats: ViewerStats | None = None
        shard.order(Happened(event=event))

    @property
    def role(self) -> Role:
        """See Peer.role; it never controls for long."""
        return self.event.role

    @property
    def exclusive(self) -> bool:
        """See Peer.exclusive."""
        return self.event.exclusive

    @property
    def ended(self) -> bool:
        """See Peer.ended."""
        return self._ending

    @property
    def connected(self) -> bool:
        """Whether media could flow when the shard last said."""
        return self._stats is not None and self._stats.state == "connected"

    @property
    def orphaned(self) -> bool:
        """See Peer.orphaned."""
        return self._closed

    async def run(self) -> None:
        """Until the shard has ended it, or cannot serve it any more."""
        try:
            await self._gone.wait()
        finally:
            self._shard.leave(self.id)

    def receive(self, text: str) -> None:
        """See Peer.receive."""
        self._shard.order(Happened(event=PeerEvent(kind="message", peer=self.id, text=text)))

    def opened(self, event: PeerEvent) -> None:
        """See Peer.opened; who controls from now on is served where the input goes."""
        self.event = event
        self._closed = False
        if event.role.controls:
            self.move()
        else:
            self._shard.order(Happened(event=event))

    def closed(self) -> None:
        """See Peer.closed."""
        self._closed = True
        self._shard.order(Happened(event=PeerEvent(kind="close", peer=self.id)))

    def end(self, reason: str) -> None:
        """See Peer.end."""
        if not self._ending:
            self._ending = True
            self._shard.order(Happened(event=PeerEvent(kind="kick", peer=self.id, text=reason)))

    def notice(self, text: str) -> None:
        """See Peer.notice."""
        self._shard.order(Happened(event=PeerEvent(kind="notice", peer=self.id, text=text)))

    def signal(self, text: str) -> None:
        """See Peer.signal."""
        if text:
            self._reply(self.id, PeerReply(kind="message", text=text))

    def said(self, reply: PeerReply) -> None:
        """The shard says this to the signaling socket."""
        self._reply(self.id, reply)

    def tell_clipboard(self, text: str) -> None:
        """Only those who control are told; nobody here does."""

    def tick(self, stats: dict[str, Any]) -> None:
        """See Peer.tick."""
        self._shard.tick(stats)

    def stats(self) -> ViewerStats:
        """What the shard said last."""
        return self._stats or ViewerStats(
            id=self.id,
            label=self.event.label,
            role=self.role,
            dialect=self.event.dialect,
            address=self.event.address,
            state="waiting",
            age_s=round(time.monotonic() - self._began, 1),
        )

    def measured(self, stats: ViewerStats) -> None:
        """The shard says how this viewer is."""
        self._stats = stats

    def left(self, *, visited: bool) -> None:
        """The shard has ended it."""
        self.visited = visited
        self._ending = True
        self._gone.set()

    def move(self) -> None:
        """The shard cannot serve it any more; somebody else has to, if it still wants to be served."""
        self.homeless = not self._ending and not self._closed
        self._ending = True
        self._gone.set()
