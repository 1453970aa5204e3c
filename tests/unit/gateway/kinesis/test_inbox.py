"""What a connection to a channel is handed, and what a master that comes back gets again."""

import itertools

import pytest

from appliance.bus.channel_messages import ChannelMail
from appliance.bus.mail import OF_ONE_SENDER
from appliance.gateway.kinesis.mailbox import Held, Inbox
from appliance.signaling.kinesis import Action

pytestmark = pytest.mark.unit

_numbers = itertools.count(1)


def sent(action: Action, sender: str = "", at: float = 0.0) -> Held:
    """For 60 s."""
    number = next(_numbers)
    return Held(sender, number, at, action, ChannelMail(id=f"m{number}", action=action.value, ttl_s=60))


def arrival(connection: str, *, at: float = 1.0, again: bool = False) -> Held:
    return Held("", next(_numbers), at, None, ChannelMail(id=connection, action="ARRIVAL", again=again))


def handed_over(inbox: Inbox, *messages: Held) -> list[Held]:
    """What `inbox` hands over as `messages` come."""
    found = []
    for message in messages:
        for each in inbox.take(message):
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
    old, fresh = sent(Action.CANDIDATE, at=9.0), sent(Action.CANDIDATE, at=11.0)
    assert handed_over(inbox, old, fresh, arrival("c1", at=70.0)) == [fresh]


def test_a_newer_offer_replaces_the_older_with_its_candidates() -> None:
    inbox = Inbox("c1", redelivers=True)
    old = [sent(Action.OFFER, "v1"), sent(Action.CANDIDATE, "v1")]
    other = sent(Action.OFFER, "v2")
    new = [sent(Action.OFFER, "v1"), sent(Action.CANDIDATE, "v1")]
    assert handed_over(inbox, *old, other, *new, arrival("c1")) == [other, *new]


def test_candidates_that_came_before_the_only_offer_belong_to_it() -> None:
    inbox = Inbox("c1", redelivers=True)
    waiting = [sent(Action.CANDIDATE, "v1"), sent(Action.OFFER, "v1"), sent(Action.CANDIDATE, "v1")]
    other = [sent(Action.OFFER, "v2"), sent(Action.OFFER, "v2")]
    assert handed_over(inbox, *waiting, *other, arrival("c1")) == [*waiting, other[1]]


def test_a_newer_answer_replaces_the_older_and_leaves_the_candidates() -> None:
    inbox = Inbox("c1", redelivers=False)
    sent_ = [sent(Action.ANSWER), sent(Action.CANDIDATE), sent(Action.ANSWER)]
    assert handed_over(inbox, *sent_, arrival("c1")) == sent_[1:]


def test_a_master_that_comes_back_gets_the_offer_that_nobody_answered() -> None:
    lying = [sent(Action.OFFER, "v1"), sent(Action.CANDIDATE, "v1")]
    first = Inbox("c1", redelivers=True)
    first.take(arrival("c1"))
    for each in lying:
        assert first.take(each) == [each]
        assert not first.handed_over(each)
    second = Inbox("c2", redelivers=True)
    assert handed_over(second, *lying, arrival("c2")) == lying
    assert second.answered("v1") == lying[-1].number
    late = sent(Action.CANDIDATE, "v1")
    assert second.take(late) == [late]
    assert second.handed_over(late)


def test_a_master_that_comes_back_gets_the_candidates_that_came_before_the_offer_as_well() -> None:
    lying = [sent(Action.CANDIDATE, "v1"), sent(Action.OFFER, "v1"), sent(Action.CANDIDATE, "v1")]
    first = Inbox("c1", redelivers=True)
    first.take(arrival("c1"))
    for each in lying:
        assert first.take(each) == [each]
        assert not first.handed_over(each)
    assert handed_over(Inbox("c2", redelivers=True), *lying, arrival("c2")) == lying
    assert first.answered("v1") == lying[-1].number
    anew = sent(Action.OFFER, "v1")
    assert handed_over(first, anew) == [anew]
    assert first.answered("v1") == anew.number


def test_an_answer_to_nobody_drops_nothing() -> None:
    assert Inbox("c1", redelivers=True).answered("v1") == 0


def test_the_newest_connection_takes_over() -> None:
    old, new = Inbox("c1", redelivers=False), Inbox("c2", redelivers=False)
    stream = [arrival("c1"), arrival("c2")]
    for each in stream:
        old.take(each)
        new.take(each)
    assert (old.superseded, new.superseded) == (True, False)


def test_after_an_outage_nobody_takes_over_and_nothing_comes_twice() -> None:
    master = Inbox("c1", redelivers=True)
    master.take(arrival("c1"))
    offer = sent(Action.OFFER, "v1")
    assert handed_over(master, offer) == [offer]
    master.begin()
    missed = sent(Action.CANDIDATE, "v1")
    assert handed_over(master, offer, missed, arrival("c0", again=True), arrival("c1", again=True)) == [
        missed
    ]
    assert not master.superseded


def test_who_was_taken_over_from_during_an_outage_learns_of_it() -> None:
    """Its own first arrival has expired by then."""
    old, new = Inbox("c1", redelivers=True), Inbox("c2", redelivers=True)
    old.take(arrival("c0"))
    old.take(arrival("c1"))
    old.begin()
    waiting = sent(Action.OFFER, "v1")
    stream = [arrival("c2"), waiting, arrival("c1", again=True)]
    assert handed_over(old, *stream) == []
    assert handed_over(new, *stream) == [waiting]
    assert (old.superseded, new.superseded) == (True, False)


def test_who_was_there_before_takes_over_from_nobody_after_an_outage() -> None:
    inbox = Inbox("c1", redelivers=True)
    lying = [arrival("c0"), arrival("c1")]
    handed_over(inbox, *lying)
    inbox.begin()
    handed_over(inbox, *lying, arrival("c0", again=True), arrival("c1", again=True))
    assert not inbox.superseded


def test_a_master_that_answers_nobody_makes_its_gateway_remember_little() -> None:
    inbox = Inbox("c1", redelivers=True)
    handed_over(inbox, arrival("c1"), sent(Action.OFFER, "v1"))
    handed_over(inbox, *(sent(Action.CANDIDATE, "v1") for _ in range(3 * OF_ONE_SENDER)))
    handed_over(inbox, *(sent(Action.OFFER, f"w{number}") for number in range(2000)))
    assert sum(map(len, inbox._unanswered.values())) < 2000
    newest = sent(Action.CANDIDATE, "w1999")
    assert handed_over(inbox, newest) == [newest]
    assert inbox.answered("w1999") == newest.number
