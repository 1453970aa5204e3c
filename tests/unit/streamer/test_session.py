import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from pydantic import BaseModel

from appliance.bus.messages import Role, ScreenWish, SessionState, StreamerHello
from appliance.bus.peer_messages import Opened, PeerEvent, PeerReply
from appliance.bus.spec import StreamerSpec
from appliance.bus.stats import InstanceStats, ViewerStats
from appliance.errors import LimitExceededError, NotFoundError, UnavailableError
from appliance.signaling.control import ControlMessage
from appliance.streamer import session as session_module
from appliance.streamer.peer import Peer
from appliance.streamer.session import Session
from appliance.streamer.shard.remote_peer import RemotePeer
from appliance.streamer.shard.wire import Happened, ToShard
from appliance.streamer.sources import Sources
from appliance.streamer.stage import Stage
from appliance.streamer.tracks import SoundFan

pytestmark = pytest.mark.unit

SPEC = StreamerSpec(
    instance="i", session="s", application="a", kind="test-pattern", viewers_max=2, resumed=True
)


class FakeBus:
    """What a session needs of the bus, without one."""

    connected = True
    epoch = 1

    def __init__(self) -> None:
        self.published: asyncio.Queue[tuple[str, BaseModel]] = asyncio.Queue()
        self.handler: Callable[[PeerEvent], Awaitable[Any]]
        self.broken = False
        self._again = asyncio.Event()

    async def publish(self, subject: str, message: BaseModel) -> None:
        if self.broken:
            raise UnavailableError("bus: gone")
        if not isinstance(message, InstanceStats):
            self.published.put_nowait((subject, message))

    async def serve(self, subject: str, model: type, handler: Any, *, started: asyncio.Event) -> None:
        assert subject == "session.s.up"
        self.handler = handler
        started.set()
        await asyncio.Event().wait()

    async def reconnected(self, epoch: int) -> int:
        await self._again.wait()
        self._again.clear()
        return epoch + 1

    async def heard(self, subject: str, message: BaseModel) -> bool:
        return True

    def come_back(self) -> None:
        self._again.set()


class NoInput:
    def handle(self, viewer: str, role: Role, message: ControlMessage) -> None:
        raise NotImplementedError

    def holds(self, viewer: str) -> bool:
        return False

    def release(self, viewer: str) -> None:
        return


class Shard:
    """Serves nobody in truth."""

    def __init__(self) -> None:
        self.events: list[PeerEvent] = []
        self.left = asyncio.Event()

    def order(self, message: ToShard) -> None:
        assert isinstance(message, Happened)
        self.events.append(message.event)

    def tick(self, stats: dict[str, Any]) -> None:
        return

    def leave(self, peer: str) -> None:
        self.left.set()


class House:
    def __init__(self) -> None:
        self.bus = FakeBus()
        self.picture = asyncio.Event()
        stage = Stage(
            spec=SPEC,
            sources=Sources({}, SoundFan()),
            input=NoInput(),
            size=lambda: (2, 2),
            fps=lambda: 60,
            problem=lambda: "",
            resize=self._resize,
        )
        self.session = Session(
            "s",
            stage,
            self.bus,  # type: ignore[arg-type]
            ready=self._ready,
            measure=lambda viewers: InstanceStats(instance="i", viewers=viewers),
            elsewhere=self._place,
        )
        self.shard: Shard | None = None
        self.served_here: list[int] = []

    def _place(self, event: PeerEvent, here: int, reply: Callable[[str, PeerReply], None]) -> Any:
        self.served_here.append(here)
        if self.shard is None:
            return None
        self.remote = RemotePeer(event, self.shard, reply)
        return self.remote

    async def _resize(self, wanted: ScreenWish) -> None:
        raise AssertionError(f"nobody asked for {wanted}")

    async def _ready(self) -> None:
        await self.picture.wait()

    async def happens(self, kind: str, peer: str, **fields: Any) -> Any:
        return await self.bus.handler(
            PeerEvent(kind=kind, peer=peer, page="exclusive" not in fields, **fields)
        )

    async def said(self) -> tuple[str, Any]:
        """Subject, and the type of the text or the message itself."""
        subject, message = await self.bus.published.get()
        if isinstance(message, PeerReply):
            return subject, json.loads(message.text)["type"] if message.kind == "message" else "close"
        return subject, message


@pytest.fixture
async def house(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    monkeypatch.setattr(session_module, "_HELLO_PAUSES", (0.0,))
    house = House()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(house.session.run())
        assert await house.said() == ("session.s.hello", StreamerHello(instance="i", resumed=True))
        yield house
        running.cancel()


async def test_the_session_is_active_once_there_is_a_picture(house: House) -> None:
    assert house.bus.published.empty()
    house.picture.set()
    assert await house.said() == (
        "session.s.state",
        SessionState(session="s", status="active", instance="i"),
    )


async def test_after_an_outage_hello_is_said_again_but_nothing_was_resumed(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_module, "_HELLO_PAUSES", (0.0, 0.0))
    house.picture.set()
    await house.said()
    house.bus.come_back()
    for _ in range(2):
        assert await house.said() == ("session.s.hello", StreamerHello(instance="i"))
        assert (await house.said())[0] == "session.s.state"


async def test_messages_are_answered_on_the_subject_of_their_peer(house: House) -> None:
    await house.happens("open", "p1")
    await house.happens("message", "p1", text='{"type":"discover"}')
    assert await house.said() == ("session.s.down.p1", "resp:discover")
    await house.happens("message", "stranger", text='{"type":"discover"}')
    assert await house.said() == ("session.s.down.stranger", "error")


async def test_who_opens_a_peer_hears_whether_it_was_known(house: House) -> None:
    assert await house.happens("open", "p1") == Opened(known=False)
    assert await house.happens("open", "p1") == Opened(known=True)


async def test_a_viewer_too_many_is_refused(house: House) -> None:
    await house.happens("open", "p1")
    await house.happens("open", "p2")
    with pytest.raises(LimitExceededError, match="has 2 viewers"):
        await house.happens("open", "p3")
    await house.happens("kick", "p2")
    await house.happens("open", "p3")


async def test_who_may_control_takes_the_place_of_who_watches(house: House) -> None:
    await house.happens("open", "p1")
    await house.happens("open", "p2")
    await house.happens("open", "owner", role=Role.CONTROL)
    assert not house.session._peers["p1"].ended
    assert house.session._peers["p2"].ended
    with pytest.raises(LimitExceededError, match="has 2 viewers"):
        await house.happens("open", "p4")


async def test_who_asks_for_a_player_that_is_gone_is_told(house: House) -> None:
    await house.happens("open", "a", dialect="whep", role=Role.VIEW)
    await house.happens("kick", "a", dialect="whep", text="left")
    for kind in ("message", "kick"):
        with pytest.raises(NotFoundError, match="viewer b is not here"):
            await house.happens(kind, "b", dialect="whep")


async def test_an_exclusive_client_takes_over_from_its_like_only(house: House) -> None:
    await house.happens("open", "page")
    await house.happens("open", "first", exclusive=True)
    await house.happens("open", "second", exclusive=True)
    assert [await house.said() for _ in range(2)] == [
        ("session.s.down.first", "error"),
        ("session.s.down.first", "close"),
    ]
    await house.happens("message", "page", text='{"type":"discover"}')
    assert await house.said() == ("session.s.down.page", "resp:discover")


async def test_a_peer_that_is_known_is_not_restarted(house: House) -> None:
    await house.happens("open", "p1", resumed=True)
    assert await house.said() == ("session.s.down.p1", "fanlight::restart")
    await house.happens("open", "p1", resumed=True)
    await house.happens("message", "p1", text='{"type":"discover"}')
    assert await house.said() == ("session.s.down.p1", "resp:discover")


async def test_a_client_that_knows_no_restart_hears_an_error(house: House) -> None:
    await house.happens("open", "p1", resumed=True, exclusive=True)
    assert [(await house.said())[1] for _ in range(2)] == ["error", "close"]


async def test_a_lost_bus_ends_nothing(house: House) -> None:
    await house.happens("open", "p1")
    house.bus.broken = True
    await house.happens("message", "p1", text='{"type":"discover"}')
    await house.happens("message", "p1", text="{")
    for _ in range(10):
        await asyncio.sleep(0)
    house.bus.broken = False
    await house.happens("message", "p1", text='{"type":"discover"}')
    assert await house.said() == ("session.s.down.p1", "resp:discover")


async def test_nobody_goes_on_for_the_viewer_of_another(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Peer, "connected", True)
    adopt = '{"type":"fanlight::adopt","peer":"alice-1"}'
    await house.happens("open", "alice-1", role=Role.CONTROL)
    await house.happens("open", "bob-1")
    await house.happens("message", "bob-1", text=adopt)
    assert await house.said() == ("session.s.down.bob-1", "fanlight::restart")
    await house.happens("kick", "bob-1")
    assert [(await house.said())[1] for _ in range(2)] == ["fanlight::end", "close"]
    await house.happens("open", "alice-2", role=Role.CONTROL)
    await house.happens("message", "alice-2", text=adopt)
    assert await house.said() == ("session.s.down.alice-2", "fanlight::adopted")


@pytest.mark.parametrize("step", ["stats", "tick"])
async def test_a_viewer_that_cannot_be_looked_after_ends_alone(
    house: House, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    real = getattr(Peer, step)

    def fail(peer: Peer, *arguments: Any) -> Any:
        if peer.id == "bad":
            raise ZeroDivisionError
        return real(peer, *arguments)

    monkeypatch.setattr(Peer, step, fail)
    monkeypatch.setattr(session_module, "_STATS_SECONDS", 0.01)
    await house.happens("open", "good")
    await house.happens("open", "bad")
    assert await house.said() == ("session.s.down.bad", "fanlight::end")
    assert await house.said() == ("session.s.down.bad", "close")
    await house.happens("message", "good", text='{"type":"discover"}')
    assert await house.said() == ("session.s.down.good", "resp:discover")


async def test_frames_go_out_between_viewers_that_are_measured(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, order = Peer.stats, []

    def stats(peer: Peer) -> ViewerStats:
        order.append(peer.id)
        asyncio.get_running_loop().call_soon(order.append, "frame")
        return real(peer)

    monkeypatch.setattr(Peer, "stats", stats)
    monkeypatch.setattr(session_module, "_MEASURED_AT_ONCE", 1)
    await house.happens("open", "one")
    await house.happens("open", "other")
    await house.session._tell_stats()
    assert order == ["one", "frame", "other", "frame"]


async def test_a_viewer_is_served_elsewhere_until_that_process_dies(house: House) -> None:
    await house.happens("open", "p1")
    house.shard = shard = Shard()
    await house.happens("open", "p2")
    await house.happens("message", "p2", text="hello")
    assert house.served_here == [0, 1]
    assert [(event.kind, event.text) for event in shard.events] == [("open", ""), ("message", "hello")]
    house.remote.said(PeerReply(kind="close"))
    assert await house.said() == ("session.s.down.p2", "close")
    house.shard = None
    house.remote.move()
    assert await house.said() == ("session.s.down.p2", "fanlight::restart")
    await house.happens("message", "p2", text='{"type":"discover"}')
    assert await house.said() == ("session.s.down.p2", "resp:discover")


async def test_a_viewer_whose_place_was_taken_meanwhile_hears_why_it_is_not_served(house: House) -> None:
    house.shard = Shard()
    await house.happens("open", "p1")
    moving = house.remote
    await house.happens("open", "p2")
    moving.move()
    await house.happens("open", "p3")
    assert [await house.said() for _ in range(2)] == [
        ("session.s.down.p1", "fanlight::end"),
        ("session.s.down.p1", "close"),
    ]


async def test_a_viewer_elsewhere_does_not_continue_as_another_one(house: House) -> None:
    house.shard = Shard()
    await house.happens("open", "owner-1")
    house.shard = None
    await house.happens("open", "owner-2")
    await house.happens("message", "owner-2", text='{"type": "fanlight::adopt", "peer": "owner-1"}')
    assert await house.said() == ("session.s.down.owner-2", "fanlight::restart")
