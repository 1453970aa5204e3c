"""What a connection to a channel is handed, and what a master that comes back gets again."""

import itertools

import pytest

from appliance.bus.messages import ChannelMail
from appliance.gateway.kinesis.mailbox import Held, Inbox
from appliance.signaling.kinesis import Action

pytestmark = pytest.mark.unit

_numbers = itertools.count(1)


def sent(action: Action, sender: str = "", expires_at: float = 100.0) -> Held:
    number = next(_numbers)
    return Held(
        sender, number, action, ChannelMail(id=f"m{number}", action=action.value, expires_at=expires_at)
    )


def arrival(connection: str, *, again: bool = False) -> Held:
    return Held("", next(_numbers), None, ChannelMail(id=connection, action="ARRIVAL", again=again))


def handed_over(inbox: Inbox, *messages: Held) -> list[Held]:
    """What `inbox` hands over as `messages` come."""
    found = []
    for message in messages:
        for each in inbox.take(message, now=10.0):
            inbox.handed_over(each)
            found.append(each)
    return found


def test_what_waited_comes_in_order_once_the_connection_is_there() -> None:
    inbox = Inbox("c1", redelivers=False)
    answer, first, second = sent(Action.ANSWER), sent(Action.CANDIDATE), sent(Action.CANDIDATE)
    assert handed_over(inbox, arrival("c0"), answer, first, second) == []
    assert handed_over(inbox, arrival("c1")) == [answer, first, second]
    live = sent(Action.CANDIDATE)
    assert handed_over(inbox, live) == [live]


def test_what_waited_too_long_does_not_come() -> None:
    inbox = Inbox("c1", redelivers=False)
    assert handed_over(inbox, sent(Action.ANSWER, expires_at=9.0), arrival("c1")) == []


def test_a_newer_offer_replaces_the_older_with_its_candidates() -> None:
    inbox = Inbox("c1", redelivers=True)
    old = [sent(Action.OFFER, "v1"), sent(Action.CANDIDATE, "v1")]
    other = sent(Action.OFFER, "v2")
    new = [sent(Action.OFFER, "v1"), sent(Action.CANDIDATE, "v1")]
    assert handed_over(inbox, *old, other, *new, arrival("c1")) == [other, *new]


def test_a_newer_answer_replaces_the_older_and_leaves_the_candidates() -> None:
    inbox = Inbox("c1", redelivers=False)
    sent_ = [sent(Action.ANSWER), sent(Action.CANDIDATE), sent(Action.ANSWER)]
    assert handed_over(inbox, *sent_, arrival("c1")) == sent_[1:]


def test_a_master_that_comes_back_gets_the_offer_that_nobody_answered() -> None:
    lying = [sent(Action.OFFER, "v1"), sent(Action.CANDIDATE, "v1")]
    first = Inbox("c1", redelivers=True)
    first.take(arrival("c1"), 10.0)
    for each in lying:
        assert first.take(each, 10.0) == [each]
        assert not first.handed_over(each)
    second = Inbox("c2", redelivers=True)
    assert handed_over(second, *lying, arrival("c2")) == lying
    assert second.answered("v1") == lying[-1].number
    late = sent(Action.CANDIDATE, "v1")
    assert second.take(late, 10.0) == [late]
    assert second.handed_over(late)


def test_an_answer_to_nobody_drops_nothing() -> None:
    assert Inbox("c1", redelivers=True).answered("v1") == 0


def test_the_newest_connection_takes_over() -> None:
    old, new = Inbox("c1", redelivers=False), Inbox("c2", redelivers=False)
    stream = [arrival("c1"), arrival("c2")]
    for each in stream:
        old.take(each, 10.0)
        new.take(each, 10.0)
    assert (old.superseded, new.superseded) == (True, False)


def test_after_an_outage_nobody_takes_over_and_nothing_comes_twice() -> None:
    master = Inbox("c1", redelivers=True)
    master.take(arrival("c1"), 10.0)
    offer = sent(Action.OFFER, "v1")
    assert handed_over(master, offer) == [offer]
    master.begin()
    missed = sent(Action.CANDIDATE, "v1")
    assert handed_over(master, offer, missed, arrival("c0", again=True), arrival("c1", again=True)) == [
        missed
    ]
    assert not master.superseded
