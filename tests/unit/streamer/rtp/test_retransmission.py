import pytest

from appliance.streamer.rtp.layout import PackedFrame
from appliance.streamer.rtp.retransmission import Budget, History, SentFrame

pytestmark = pytest.mark.unit


def history(*packets: int, first: int = 0, size: int = 1000) -> History:
    """Frames of so many packets each, sent at 0 s."""
    kept = History()
    for count in packets:
        packed = PackedFrame([bytes(size)] * count, 0)
        kept.remember(
            SentFrame(first, packed, 0, ntp=0, transport_first=0, start=0, packets=count), count * size, 0
        )
        first += count
    return kept


def asked(kept: History, *sequences: int, rtt: float = 0, now: float = 0.1) -> list[tuple[int, int]]:
    return [(frame.first, index) for frame, index in kept.lost(sequences, rtt, now)]


def test_a_lost_packet_is_found_in_its_frame() -> None:
    kept = history(3, 1, 4, first=65_534)
    assert asked(kept, 65_534, 0, 1, 2, 5) == [
        (65_534, 0),
        (65_534, 2),
        (65_537, 0),
        (65_538, 0),
        (65_538, 3),
    ]


def test_what_was_never_sent_or_is_long_gone_is_passed_over() -> None:
    assert asked(history(3, 3, first=10), 9, 16, 4000, 60_000) == []
    assert asked(History(), 1) == []
    kept = history(*[1] * 200)
    assert asked(kept, 79) == []
    assert asked(kept, 80, 199) == [(80, 0), (199, 0)]


def test_a_packet_is_sent_again_once_in_a_round_trip() -> None:
    kept = history(5)
    assert asked(kept, 2, 2, now=1.0) == [(0, 2)]
    assert asked(kept, 2, now=1.019) == []
    assert asked(kept, 2, now=1.021) == [(0, 2)]
    assert asked(kept, 2, rtt=0.2, now=1.2) == []
    assert asked(kept, 2, rtt=0.2, now=1.3) == [(0, 2)]
    assert kept.repeated == 3
    assert kept.repeated_octets == 3 * len(kept._frames[0].packed.payloads[2])


def test_at_most_half_of_what_was_sent_is_sent_again() -> None:
    kept = history(*[50] * 4)
    given = asked(kept, *range(200), now=0)
    assert len(given) == 100
    assert kept.refused == 100


def test_a_budget_comes_back_with_time() -> None:
    budget = Budget()
    assert budget.spend(24_000, 0)
    assert not budget.spend(1000, 0.01)
    assert budget.spend(1000, 0.1)
    budget.sent(1_000_000, 5)
    assert budget.spend(400_000, 5)
    assert not budget.spend(200_000, 5)


def test_a_storm_of_questions_is_not_even_looked_at() -> None:
    kept = history(5)
    everything = range(5000)
    assert asked(kept, *everything) == [(0, index) for index in range(5)]
    assert asked(kept, *everything, now=10.0) == []
    assert kept.refused == 5000
    assert asked(kept, 2, now=10.0) == [(0, 2)]
