from array import array

import pytest

from appliance.streamer.rtp.sent_packets import HISTORY, Received, SentPackets
from appliance.streamer.rtp.transport_feedback import Feedback

pytestmark = pytest.mark.unit

NOTHING = Received([], [], [])


def sent(*octets: int, first: int = 0) -> SentPackets:
    """A packet a second."""
    packets = SentPackets()
    for number, size in enumerate(octets):
        packets.add(first + number & 0xFFFF, size, float(number))
    return packets


def test_arrivals_meet_what_was_sent() -> None:
    packets = sent(100, 200, 300)
    report = packets.resolve(Feedback(0, 0, [5_000_000, None, 7_500_000]))
    assert report.received == ([0.0, 2.0], [5.0, 7.5], [100, 300])
    assert (report.missing, report.found, report.untold) == (1, 0, 0)
    assert packets.octets == 600


def test_all_has_arrived_only_when_the_viewer_says_so_of_every_packet() -> None:
    assert not SentPackets().complete
    packets = sent(100, 200, 300, first=65_534)
    assert not packets.complete
    packets.resolve(Feedback(0, 65_534, [10, 20]))
    assert not packets.complete, "nothing is known of the last one"
    packets.resolve(Feedback(1, 0, [None]))
    assert not packets.complete, "it is missing"
    packets.resolve(Feedback(2, 0, [40]))
    assert packets.complete


def test_numbers_wrap() -> None:
    packets = sent(1, 2, 3, 4, first=65_534)
    report = packets.resolve(Feedback(0, 65_535, [10, 20, 30]))
    assert report.received.octets == [2, 3, 4]


def test_what_is_told_twice_counts_once() -> None:
    packets = sent(100, 200, 300)
    packets.resolve(Feedback(0, 0, [500_000, None]))
    report = packets.resolve(Feedback(1, 0, [500_000, 1_500_000, None]))
    assert report.received == ([1.0], [1.5], [200])
    assert (report.missing, report.found) == (1, 1)
    again = packets.resolve(Feedback(2, 2, [None]))
    assert (again.received, again.missing) == (NOTHING, 0)


@pytest.mark.parametrize("first", [3, 100, 30_000, 40_000])
def test_what_was_never_sent_is_passed_over(first: int) -> None:
    report = sent(1, 2, 3).resolve(Feedback(0, first, [10, None, 30]))
    assert (report.received, report.missing) == (NOTHING, 0)


def test_feedback_before_anything_was_sent() -> None:
    assert SentPackets().resolve(Feedback(0, 65_000, [10] * 1000)).received == NOTHING


def test_only_so_many_packets_are_remembered() -> None:
    packets = sent(*[1] * (HISTORY + 2))
    report = packets.resolve(Feedback(0, 0, [10] * (HISTORY + 50)))
    assert len(report.received.sent) == HISTORY
    assert report.received.sent[0] == 2.0


def test_packets_whose_message_was_lost_are_counted_by_the_next() -> None:
    packets = sent(*[100] * 6)
    packets.resolve(Feedback(0, 0, [10, 20]))
    report = packets.resolve(Feedback(2, 4, [50, 60]))
    assert report.untold == 200
    late = packets.resolve(Feedback(1, 2, [30, 40]))
    assert (late.received, late.untold) == (NOTHING, 0)


def test_packets_of_probes_are_known() -> None:
    packets = SentPackets()
    packets.add(0, 100, 0.0)
    packets.add(1, 200, 1.0, 7)
    report = packets.resolve(Feedback(0, 0, [500_000, 1_500_000]))
    assert report.probed == [(7, (1.0, 1.5, 200))]


def test_what_stands_is_what_was_sent_faster_than_it_is_carried() -> None:
    packets = sent(100, 200, 300, 400, first=65_534)
    packets.resolve(Feedback(0, 65_534, [5_000_000]))
    assert packets.standing(50, 0.0, 100, 1000, 3.0) == 50 - 50 + 200 - 100 + 300 - 100 + 400
    assert packets.standing(50, 0.0, 100, 450, 3.0) == 450, "the queue keeps no more"
    assert packets.standing(50, 0.0, 100, 1000, 5.5) == 450
    packets.resolve(Feedback(1, 65_535, [6_000_000, None, None]))
    assert packets.standing(80, 3.0, 100, 1000, 3.5) == 30, "all was told of"
    assert SentPackets().standing(0, 0.0, 100, 1000, 1.0) == 0


@pytest.mark.parametrize("first", [0, HISTORY - 2, 65_534])
def test_packets_of_a_frame_are_taken_note_of_at_once(first: int) -> None:
    packets, sizes = SentPackets(), array("i", (1000, 1000, 500))
    packets.add_together(first, sizes, 2500, 1.5)
    assert packets.octets == 2500
    assert not packets.complete
    report = packets.resolve(Feedback(0, first, [10_000, None, 30_000]))
    assert report.received == ([1.5, 1.5], [0.01, 0.03], [1000, 500])
    assert report.missing == 1


@pytest.mark.parametrize("first", [0, 100, HISTORY - 2])
def test_where_all_have_arrived_it_is_as_if_each_were_looked_at(first: int) -> None:
    arrivals = [10_000, 30_000, 20_000]
    quick, slow = (sent(50, 100, 200, 300, 400, first=first - 1 & 0xFFFF) for _ in range(2))
    for packets in (quick, slow):
        packets.resolve(Feedback(0, first - 1 & 0xFFFF, [5_000]))
    report = quick.resolve(Feedback(0, first, arrivals))
    each = slow.resolve(Feedback(0, first, [*arrivals, None]))
    assert (report.received, report.found, report.untold) == (each.received, each.found, each.untold)
    assert (report.missing, each.missing) == (0, 1)
    assert quick.resolve(Feedback(0, first, arrivals)).received == NOTHING, "it is known already"
