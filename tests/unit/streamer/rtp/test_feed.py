import contextlib
from collections.abc import Callable, Iterator

import pytest

from appliance.streamer.frames import EncodedFrame
from appliance.streamer.rtp.feed import FIRST, SECOND, Choice, Feed
from appliance.streamer.subscription import Subscription

pytestmark = pytest.mark.unit

MEGABIT = 1_000_000


class Rendition:
    """Delivers what the test says; `open` while anyone is subscribed."""

    def __init__(self) -> None:
        self.recent: list[EncodedFrame] = []
        """What who joins gets at once."""
        self.subscriptions: list[Subscription] = []
        self.keyframes_requested = 0

    @contextlib.contextmanager
    def subscribe(self, ready: Callable[[EncodedFrame], None]) -> Iterator[Subscription]:
        subscription = Subscription(self._request, ready)
        self.subscriptions.append(subscription)
        subscription.begin(self.recent)
        yield subscription
        self.subscriptions.remove(subscription)

    def deliver(self, *, key: bool = False) -> EncodedFrame:
        frame = EncodedFrame(b"", key, 0, 0, 0, 0)
        for subscription in tuple(self.subscriptions):
            subscription.offer(frame)
        return frame

    def _request(self) -> None:
        self.keyframes_requested += 1


def fed(may_ask: Callable[[], bool] = lambda: True) -> tuple[Rendition, Rendition, Feed, list[EncodedFrame]]:
    first, second = Rendition(), Rendition()
    arrived: list[EncodedFrame] = []
    return first, second, Feed([first.subscribe, second.subscribe], arrived.append, may_ask), arrived


def test_it_changes_at_a_keyframe_of_the_other_rendition_and_misses_nothing_until_then() -> None:
    first, second, feed, arrived = fed()
    sent = [first.deliver(key=True)]
    feed.switch(SECOND)
    second.deliver()
    sent.append(first.deliver())
    assert (feed.current, [feed.take(), feed.take()]) == (FIRST, sent)
    sent.append(second.deliver(key=True))
    first.deliver()
    assert (feed.current, feed.take(), first.subscriptions) == (SECOND, sent[2], [])
    sent.append(second.deliver())
    assert arrived == sent


def test_it_changes_at_once_where_the_other_rendition_has_what_it_takes_already() -> None:
    first, second, feed, arrived = fed()
    first.deliver(key=True)
    second.recent = [EncodedFrame(b"", key, 0, 0, 0, 0) for key in (True, False)]
    feed.switch(SECOND)
    assert (feed.current, first.subscriptions, arrived[1:]) == (SECOND, [], second.recent)
    assert [feed.take(), feed.take()] == second.recent
    feed.switch(FIRST)
    feed.switch(SECOND)
    assert (feed.current, feed.take(), second.keyframes_requested) == (SECOND, None, 0)


def test_a_change_of_mind_before_the_keyframe_costs_nothing() -> None:
    first, second, feed, arrived = fed()
    first.deliver(key=True)
    feed.switch(SECOND)
    feed.switch(FIRST)
    second.deliver(key=True)
    assert (feed.current, second.subscriptions, len(first.subscriptions)) == (FIRST, [], 1)
    assert len(arrived) == 1


def test_what_was_missed_adds_up_and_no_keyframe_is_asked_of_what_is_left_behind() -> None:
    first, second, feed, _ = fed()
    first.deliver(key=True)
    feed.stumble()
    feed.switch(SECOND)
    feed.ask()
    assert first.keyframes_requested == 0
    second.deliver(key=True)
    second.deliver()
    feed.stumble()
    feed.ask()
    assert (feed.dropped, second.keyframes_requested) == (3, 1)
    feed.close()
    assert not second.subscriptions


def test_who_may_not_ask_the_first_for_a_keyframe_gets_the_second_and_may_ask_there() -> None:
    first, second, feed, _ = fed(may_ask=lambda: False)
    first.deliver(key=True)
    feed.ask()
    second.deliver(key=True)
    feed.ask()
    assert (feed.current, first.keyframes_requested, second.keyframes_requested) == (SECOND, 0, 1)


def test_the_same_holds_for_who_does_not_fetch_what_waits() -> None:
    first, second, feed, _ = fed(may_ask=lambda: False)
    first.deliver(key=True)
    for _ in range(10):
        first.deliver()
    second.deliver(key=True)
    assert (feed.current, first.keyframes_requested) == (SECOND, 0)


def looks(choice: Choice, target: int, seconds: float, since: float, loss: float = 0.0) -> float:
    """Ten looks a second at a first rendition of 4 Mb/s; when it ended."""
    for number in range(round(seconds * 10)):
        choice.look(target, 4 * MEGABIT, since + number / 10, loss)
    return since + seconds


def test_a_short_dip_changes_nothing() -> None:
    choice = Choice()
    now = looks(choice, 3 * MEGABIT, 0.5, 0)
    now = looks(choice, 5 * MEGABIT, 0.1, now)
    looks(choice, 3 * MEGABIT, 0.5, now)
    assert choice.wanted == FIRST


def test_who_cannot_follow_gets_the_second_and_comes_back_when_there_has_been_room_for_a_while() -> None:
    choice = Choice()
    now = looks(choice, 3 * MEGABIT, 1, 0)
    assert choice.wanted == SECOND
    now = looks(choice, int(4.5 * MEGABIT), 20, now)
    assert choice.wanted == SECOND
    now = looks(choice, 5 * MEGABIT, 4.9, now)
    assert choice.wanted == SECOND
    looks(choice, 5 * MEGABIT, 0.3, now)
    assert choice.wanted == FIRST


def test_who_comes_back_too_early_waits_longer_each_time() -> None:
    choice, now, returns = Choice(), 0.0, 0
    for _ in range(1200):
        before = choice.wanted
        now = looks(choice, (5 if before == SECOND else 3) * MEGABIT, 0.1, now)
        returns += (before, choice.wanted) == (SECOND, FIRST)
    assert returns == 4


def test_a_viewer_of_whom_nothing_is_known_stays_where_it_is() -> None:
    choice = Choice()
    for number in range(100):
        choice.look(None, 4 * MEGABIT, number)
    assert choice.wanted == FIRST


def test_who_is_on_its_way_back_comes_back_though_nothing_is_known_for_a_moment() -> None:
    choice = Choice()
    now = looks(choice, 3 * MEGABIT, 1, 0)
    now = looks(choice, 5 * MEGABIT, 4, now)
    choice.look(None, 4 * MEGABIT, now)
    looks(choice, 5 * MEGABIT, 1.2, now)
    assert choice.wanted == FIRST


def test_who_loses_much_gets_the_second_whatever_its_target_until_it_loses_little() -> None:
    choice = Choice()
    now = looks(choice, 6 * MEGABIT, 1, 0, loss=0.08)
    assert choice.wanted == FIRST
    now = looks(choice, 6 * MEGABIT, 1, now, loss=0.3)
    assert choice.wanted == SECOND
    now = looks(choice, 6 * MEGABIT, 30, now, loss=0.08)
    assert choice.wanted == SECOND
    looks(choice, 6 * MEGABIT, 5.2, now, loss=0.01)
    assert choice.wanted == FIRST


def test_who_needs_keyframes_of_the_second_does_not_come_back() -> None:
    choice = Choice()
    choice.give_up()
    now = looks(choice, 6 * MEGABIT, 4, 0)
    choice.give_up()
    now = looks(choice, 6 * MEGABIT, 4, now)
    assert choice.wanted == SECOND
    looks(choice, 6 * MEGABIT, 1.2, now)
    assert choice.wanted == FIRST
