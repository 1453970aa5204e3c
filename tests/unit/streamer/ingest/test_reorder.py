"""Packets in order: late ones, lost ones, numbers that wrap."""

import pytest
from aiortc.rtp import RtpPacket
from hypothesis import given
from hypothesis import strategies as st

from appliance.streamer.ingest.reorder import Reorder

pytestmark = pytest.mark.unit

PATIENCE_S = 0.3


def packet(number: int) -> RtpPacket:
    return RtpPacket(sequence_number=number & 0xFFFF)


def numbers(packets: list[RtpPacket | None]) -> list[int | None]:
    return [each.sequence_number if each else None for each in packets]


@pytest.fixture
def reorder() -> Reorder:
    return Reorder(PATIENCE_S)


def test_a_late_packet_is_waited_for_and_asked_for_in_between(reorder: Reorder) -> None:
    assert numbers(reorder.put(packet(65535), 0)) == [65535]
    assert reorder.put(packet(1), 0.01) == []
    assert reorder.wanted(0.01) == [0]
    assert reorder.wanted(0.02) == []
    assert reorder.wanted(0.07) == [0]
    assert not reorder.complete
    assert numbers(reorder.put(packet(0), 0.1)) == [0, 1]
    assert reorder.complete
    assert reorder.put(packet(0), 0.2) == [], "it came twice"


def test_a_lost_packet_is_given_up_and_leaves_a_gap(reorder: Reorder) -> None:
    for number, now in ((1, 0.0), (4, 0.1), (6, 0.2)):
        reorder.put(packet(number), now)
    assert reorder.give_up(0.35) == []
    assert numbers(reorder.give_up(0.4)) == [None, 4]
    assert numbers(reorder.give_up(0.5)) == [None, 6]
    assert reorder.complete
    assert reorder.put(packet(5), 0.6) == [], "too late"


def test_a_jump_begins_a_new_stream(reorder: Reorder) -> None:
    reorder.put(packet(10), 0)
    reorder.put(packet(12), 0)
    assert numbers(reorder.put(packet(20_000), 0.1)) == [None, 20_000]
    assert reorder.complete
    assert numbers(reorder.put(packet(20_001), 0.1)) == [20_001]


@given(st.integers(0, 0xFFFF), st.permutations(range(8)), st.sets(st.integers(0, 9)))
def test_whatever_the_network_does_nothing_comes_twice_or_out_of_order(
    first: int, order: list[int], lost: set[int]
) -> None:
    reorder = Reorder(PATIENCE_S)
    came = reorder.put(packet(first), 0)
    for number in order:
        if number not in lost:
            came += reorder.put(packet(first + 1 + number), 0.1)
    came += reorder.give_up(9)
    there = [(each - first) & 0xFFFF for each in numbers(came) if each is not None]
    assert there == [0, *(1 + number for number in range(8) if number not in lost)]
    assert (
        (None in came) == any(number not in lost and number > min(lost) for number in range(8))
        if lost
        else True
    )
