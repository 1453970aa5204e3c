import contextlib
from collections.abc import Callable, Iterator

import pytest

from appliance.streamer.frames import Codec, EncodedFrame, SourceInfo
from appliance.streamer.rtp.feed import FIRST, SECOND, Feed
from appliance.streamer.rtp.reception import Reception
from appliance.streamer.rtp.renditions import Pair
from appliance.streamer.subscription import Subscription

pytestmark = pytest.mark.unit


class Rendition:
    """One that counts who is there."""

    def __init__(self) -> None:
        self.info: SourceInfo | None = None
        self.current = False
        self.bitrate_kbps: float | None = 4000.0
        self.told: list[int] = []
        self.held = 0
        self.subscriptions: list[Subscription] = []

    @contextlib.contextmanager
    def subscribe(self, ready: Callable[[EncodedFrame], None]) -> Iterator[Subscription]:
        subscription = Subscription(lambda: None, ready)
        self.subscriptions.append(subscription)
        yield subscription
        self.subscriptions.remove(subscription)

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        self.held += 1
        yield
        self.held -= 1

    def set_bitrate(self, kbps: int) -> None:
        self.told.append(kbps)

    def keyframe(self) -> None:
        for subscription in tuple(self.subscriptions):
            subscription.offer(EncodedFrame(b"", True, 0, 0, 0, 0))


class Room:
    """One viewer of two renditions, and the time."""

    def __init__(self, *, controls: bool = False) -> None:
        self.now = 0.0
        self.controls = controls
        self.first, self.second = Rendition(), Rendition()
        self.pair = Pair(self.first, self.second, 6000)
        self.reception = Reception(6_000_000, 300_000, controls=lambda: self.controls, clock=lambda: self.now)
        self.feed = Feed(self.pair.subscriptions(self.reception), lambda _: None)

    def pass_time(self, seconds: float, bps: int | None) -> None:
        for _ in range(round(seconds * 10)):
            self.now += 0.1
            if bps is not None:
                self.reception.remb(bps)
            self.pair.look()
            self.pair.choose(self.feed, self.reception, self.now)
        self.first.keyframe()
        self.second.keyframe()


def test_the_second_runs_only_while_somebody_needs_it_and_keeps_the_first_running() -> None:
    room = Room()
    room.pass_time(2, 8_000_000)
    assert not room.second.subscriptions
    room.pass_time(1, 1_500_000)
    assert (room.feed.current, len(room.second.subscriptions), room.first.held) == (SECOND, 1, 1)
    room.pass_time(6, 8_000_000)
    assert (room.feed.current, room.second.subscriptions, room.first.held) == (FIRST, [], 0)


def test_the_second_follows_the_slowest_who_needs_it_within_a_third_of_the_bitrate() -> None:
    room = Room()
    assert room.second.told == [2000]
    room.pass_time(2, 1_500_000)
    assert room.second.told[-1] == 1425
    room.pass_time(2, 100_000)
    assert room.second.told[-1] == 300


def test_who_controls_gets_the_first_whatever_the_way_and_at_once() -> None:
    room = Room(controls=True)
    room.pass_time(5, 500_000)
    assert not room.second.subscriptions
    room.controls = False
    room.pass_time(1, 500_000)
    assert room.feed.current == SECOND
    room.controls = True
    room.pass_time(0.1, 500_000)
    assert room.feed.current == FIRST


def test_a_calm_picture_that_fits_is_not_changed() -> None:
    room = Room()
    room.first.bitrate_kbps = 900.0
    room.pass_time(10, 1_500_000)
    assert room.feed.current == FIRST


def test_the_rate_of_a_moving_picture_is_remembered_while_it_stands_still() -> None:
    room = Room()
    room.pass_time(1, 1_500_000)
    room.first.bitrate_kbps = None
    room.pass_time(5.5, 1_500_000)
    assert room.feed.current == SECOND
    room.pass_time(20, 1_500_000)
    assert room.feed.current == FIRST


def test_who_looks_at_a_still_slide_gets_it_whole_though_nothing_is_heard_of_the_way() -> None:
    room = Room()
    room.pass_time(1, 1_500_000)
    assert room.feed.current == SECOND
    room.first.bitrate_kbps = None
    room.pass_time(18, None)
    assert room.feed.current == FIRST


def test_watchers_in_company_may_cost_the_first_a_keyframe_now_and_then() -> None:
    pair, now = Room().pair, 1000.0
    watching = Reception(6_000_000, 300_000, controls=lambda: False)
    typing = Reception(6_000_000, 300_000, controls=lambda: True)
    assert pair.may_ask(watching, now)
    assert pair.may_ask(watching, now + 0.4), "both with the same keyframe"
    assert not any(pair.may_ask(watching, now + passed) for passed in (1, 10, 29))
    assert pair.may_ask(watching, now + 20, company=False)
    assert pair.may_ask(typing, now + 20)
    assert pair.may_ask(watching, now + 30)


def test_who_comes_back_does_not_wait_where_that_costs_nobody_a_keyframe() -> None:
    room = Room()
    assert room.pair.may_ask(room.reception, 0.0)
    room.pass_time(1, 1_500_000)
    room.first.current = True
    room.pass_time(6, 8_000_000)
    assert room.feed.current == FIRST


def test_who_comes_back_waits_until_watchers_may_cost_a_keyframe_again() -> None:
    room = Room()
    room.pass_time(1, 1_500_000)
    assert room.feed.current == SECOND
    room.now += 1
    assert room.pair.may_ask(room.reception, room.now)
    room.pass_time(28, 8_000_000)
    assert (room.feed.current, room.feed.choice.wanted) == (SECOND, FIRST)
    room.pass_time(3, 8_000_000)
    assert room.feed.current == FIRST


def test_where_there_can_be_no_second_everybody_stays_with_the_first_and_may_ask() -> None:
    room = Room()
    room.first.info = SourceInfo("", "", "", False, Codec.H264, 2, 2, scalable=False)
    room.pass_time(5, 500_000)
    assert (room.feed.current, room.second.subscriptions) == (FIRST, [])
    assert all(room.pair.may_ask(room.reception, room.now + passed) for passed in range(5))
