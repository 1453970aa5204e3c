"""Byte for byte what the draft says, and what a receiver makes of it."""

import itertools
import random
import struct

import pytest

from appliance.streamer.rtp.flexfec import repair_payloads
from tests.support.repair import recover, sequences

pytestmark = pytest.mark.unit

SSRC = 0x0A0B0C0D


def stream(count: int, base: int = 100) -> dict[int, bytes]:
    """Packets of one frame, the last a little smaller; random bytes."""
    dice = random.Random(count)  # noqa: S311
    found = {}
    for number in range(count):
        last = number == count - 1
        head = struct.pack(
            "!BBHLL", 0x90, 97 | (0x80 if last else 0), base + number & 0xFFFF, 0xFEDCBA98, SSRC
        )
        found[base + number & 0xFFFF] = head + dice.randbytes(40 if last else 50)
    return found


def repaired(packets: dict[int, bytes], repairs: int) -> list[bytes]:
    base = next(iter(packets))
    return list(repair_payloads(list(packets.values()), base, SSRC, repairs))


def test_a_repair_packet_of_two_packets_byte_for_byte() -> None:
    one = bytes.fromhex("9061 ffff 01020304 0a0b0c0d bede0001 51001200 aabbcc")
    two = bytes.fromhex("90e1 0000 01020304 0a0b0c0d bede0001 51001200 1122")
    (found,) = repair_payloads([one, two], 0xFFFF, SSRC, 1)
    recovery = "0080 0001 00000000"  # no R, F or version; the marker of the second; 11 xor 10 bytes
    source = "01000000 0a0b0c0d"  # one, this
    mask = "ffff e000"  # the first two from 65535 on, and no more mask
    assert found.hex() == (recovery + source + mask + "00000000 00000000 bb99cc").replace(" ", "")


def test_three_repair_packets_cover_seven_different_sets() -> None:
    masks = [found[18:20].hex() for found in repaired(stream(12), 3)]
    # 1 1010 1011 0101 000, 1 0110 0110 1100 000, 1 0001 1110 0011 000: columns 1 to 7, then 1 to 5
    assert masks == ["d5a8", "b360", "8f18"]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 15, 16, 28, 100])
@pytest.mark.parametrize("repairs", [1, 2, 3])
def test_each_packet_that_is_lost_alone_comes_back_with_all_its_bytes(count: int, repairs: int) -> None:
    packets = stream(count, base=65_530)
    for lost in packets:
        rest = {sequence: packet for sequence, packet in packets.items() if sequence != lost}
        assert recover(rest, repaired(packets, repairs)) == packets


@pytest.mark.parametrize(("repairs", "neighbours"), [(2, 2), (3, 6)])
def test_two_that_are_close_come_back(repairs: int, neighbours: int) -> None:
    packets = stream(15)
    for pair in itertools.combinations(packets, 2):
        if pair[1] - pair[0] <= neighbours:
            rest = {sequence: packet for sequence, packet in packets.items() if sequence not in pair}
            assert recover(rest, repaired(packets, repairs)) == packets


def test_a_lost_repair_packet_is_no_harm() -> None:
    packets = stream(15)
    repairs = repaired(packets, 3)
    only = next(lost for lost in packets if all(lost in sequences(repair) for repair in repairs))
    rest = {sequence: packet for sequence, packet in packets.items() if sequence != only}
    for lost in range(3):
        assert recover(rest, repairs[:lost] + repairs[lost + 1 :]) == packets


@pytest.mark.parametrize(
    ("count", "expected"), [(1, 1), (5, 1), (6, 2), (9, 3), (15, 3), (16, 4), (45, 9), (46, 12)]
)
def test_small_groups_get_fewer_repair_packets(count: int, expected: int) -> None:
    assert len(repaired(stream(count), 3)) == expected


def test_a_repair_packet_is_as_long_as_the_longest_that_it_covers() -> None:
    assert [len(repair) for repair in repaired(stream(8), 2)] == [20 + 50] * 2
    assert [len(repair) for repair in repaired(stream(1), 1)] == [20 + 40]


def test_what_is_more_than_the_repair_packets_can_do_stays_lost() -> None:
    packets = stream(15)
    kept = dict(list(packets.items())[3:])
    assert recover(kept, repaired(packets, 3)) == kept
