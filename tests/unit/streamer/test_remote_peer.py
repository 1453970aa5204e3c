from typing import Any

import pytest

from appliance.bus.messages import Role
from appliance.bus.peer_messages import PeerEvent, PeerReply
from appliance.bus.stats import ViewerStats
from appliance.streamer.shard.remote_peer import RemotePeer
from appliance.streamer.shard.wire import Happened, ToShard

pytestmark = pytest.mark.unit

OPEN = PeerEvent(kind="open", peer="p", label="tablet")


class Shard:
    def __init__(self) -> None:
        self.orders: list[ToShard] = []
        self.left: list[str] = []
        self.replies: list[tuple[str, PeerReply]] = []

    def order(self, message: ToShard) -> None:
        self.orders.append(message)

    def tick(self, stats: dict[str, Any]) -> None:
        raise NotImplementedError

    def leave(self, peer: str) -> None:
        self.left.append(peer)

    def peer(self) -> RemotePeer:
        return RemotePeer(OPEN, self, lambda *reply: self.replies.append(reply))

    @property
    def events(self) -> list[tuple[str, str]]:
        return [(each.event.kind, each.event.text) for each in self.orders if isinstance(each, Happened)]


async def test_what_happens_to_it_happens_in_the_shard() -> None:
    shard = Shard()
    peer = shard.peer()
    peer.receive("hello")
    peer.closed()
    peer.opened(OPEN)
    peer.end("enough")
    peer.end("twice")
    assert peer.ended
    expected = [("open", ""), ("message", "hello"), ("close", ""), ("open", ""), ("kick", "enough")]
    assert shard.events == expected


async def test_the_shard_ends_it() -> None:
    shard = Shard()
    peer = shard.peer()
    peer.left(visited=True)
    await peer.run()
    assert (peer.visited, peer.homeless, shard.left) == (True, False, ["p"])


async def test_its_statistics_are_those_that_the_shard_told_last() -> None:
    peer = Shard().peer()
    assert (peer.stats().label, peer.stats().state, peer.connected) == (
        "tablet",
        "waiting",
        False,
    )
    known = ViewerStats(id="p", state="connected")
    peer.measured(known)
    assert (peer.stats(), peer.connected) == (known, True)


async def test_who_gets_the_controls_has_to_move() -> None:
    peer = Shard().peer()
    peer.opened(OPEN.model_copy(update={"role": Role.CONTROL}))
    await peer.run()
    assert (peer.homeless, peer.ended, peer.event.role) == (True, True, Role.CONTROL)


@pytest.mark.parametrize("why", ["closed", "end"])
async def test_who_has_left_does_not_move(why: str) -> None:
    peer = Shard().peer()
    if why == "end":
        peer.end("enough")
    else:
        peer.closed()
    peer.move()
    await peer.run()
    assert not peer.homeless
