import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.streamer.rtp.bursts import Burst, BurstAssembler
from appliance.streamer.rtp.sent_packets import Arrived, Received

pytestmark = pytest.mark.unit


def complete(bursts: BurstAssembler, packets: list[Arrived]) -> list[Burst]:
    return list(bursts.add(Received(*zip(*packets, strict=True))))


def test_packets_within_five_milliseconds_are_a_burst() -> None:
    bursts = BurstAssembler()
    assert complete(bursts, [(1.0, 5.0, 100), (1.004, 5.02, 200), (1.006, 5.03, 300)]) == [
        Burst(1.0, 1.004, 5.0, 5.02, 2, 300)
    ]
    assert complete(bursts, [(1.05, 5.1, 400)]) == [Burst(1.006, 1.006, 5.03, 5.03, 1, 300)]


def test_a_burst_goes_on_in_the_next_message() -> None:
    bursts = BurstAssembler()
    assert complete(bursts, [(1.0, 5.0, 100)]) == []
    assert complete(bursts, [(1.0, 5.01, 100), (2.0, 6.0, 100)]) == [Burst(1.0, 1.0, 5.0, 5.01, 2, 200)]


def test_stragglers_are_left_out() -> None:
    bursts = BurstAssembler()
    assert len(complete(bursts, [(1.0, 5.0, 100), (2.0, 6.0, 100)])) == 1
    assert complete(bursts, [(1.0, 6.5, 100), (3.0, 7.0, 100)]) == [Burst(2.0, 2.0, 6.0, 6.0, 1, 100)]


def test_arrivals_out_of_order() -> None:
    bursts = BurstAssembler()
    assert complete(bursts, [(1.0, 5.02, 1), (1.0, 5.0, 1), (1.0, 5.01, 1), (2.0, 6.0, 1)]) == [
        Burst(1.0, 1.0, 5.0, 5.02, 3, 3)
    ]


def one_by_one(packets: list[Arrived]) -> list[Burst]:
    bursts = BurstAssembler()
    return [burst for packet in packets for burst in complete(bursts, [packet])]


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 40)), min_size=1, max_size=60), st.integers(0, 60)
)
def test_it_is_as_if_each_packet_came_alone(packets: list[tuple[int, int]], first: int) -> None:
    at, moments = 1000.0, []
    for waited, late in packets:
        at += waited / 2000
        moments.append((at, at + late / 1000, 100))
    bursts = BurstAssembler()
    messages = [part for part in (moments[:first], moments[first:]) if part]
    assert [burst for part in messages for burst in complete(bursts, part)] == one_by_one(moments)


def test_nothing_is_joined_across_a_reset() -> None:
    bursts = BurstAssembler()
    assert complete(bursts, [(1.0, 5.0, 100)]) == []
    bursts.reset()
    assert complete(bursts, [(1.0, 99.0, 100)]) == []
