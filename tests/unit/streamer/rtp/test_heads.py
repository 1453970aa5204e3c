import struct

import pytest

from appliance.streamer.rtp.heads import OWN_FROM, Heads
from appliance.streamer.rtp.runs import Run

pytestmark = pytest.mark.unit

RUNS = [Run(0, 84, 30, 3), Run(84, 104, 20, 1)]
"""Three packets, the last of them shorter, then one of another size."""
STARTS = [0, 30, 60, 84]
OWN = b"ownnum-end"
NUMBER_AT = OWN_FROM + 3


def written(sequence: int, number: int | None = None) -> bytearray:
    memory = bytearray(b"." * 104)
    heads = Heads(memory, RUNS, len(OWN))
    heads.write(sequence, OWN)
    if number is not None:
        heads.number(NUMBER_AT, number)
    return memory


def test_every_packet_gets_its_number_and_the_same_octets() -> None:
    memory = written(700)
    for number, start in enumerate(STARTS, 700):
        assert memory[start : start + OWN_FROM + len(OWN)] == b".." + number.to_bytes(2) + OWN


def test_what_is_not_the_viewers_own_stays() -> None:
    memory, head = written(700, 9), OWN_FROM + len(OWN)
    for start in STARTS:
        memory[start + 2 : start + head] = b"." * (head - 2)
    assert memory == b"." * 104


@pytest.mark.parametrize("first", [65_533, 65_535, (1 << 17) - 1])
def test_numbers_begin_anew_after_the_last_of_16_bits(first: int) -> None:
    memory = written(first, first + 1)
    assert [struct.unpack_from("!H", memory, start + 2)[0] for start in STARTS] == [
        (first + each) & 0xFFFF for each in range(4)
    ]
    assert [struct.unpack_from("!H", memory, start + NUMBER_AT)[0] for start in STARTS] == [
        (first + 1 + each) & 0xFFFF for each in range(4)
    ]


def test_octets_that_end_with_zeros_are_written_whole() -> None:
    memory = bytearray(b"." * 104)
    Heads(memory, RUNS, 6).write(0, b"ab\0\0\0\0")
    assert memory[: OWN_FROM + 7] == b"..\0\0ab\0\0\0\0."


def test_one_viewers_heads_leave_nothing_of_anothers() -> None:
    memory = bytearray(104)
    heads = Heads(memory, RUNS, len(OWN))
    heads.write(1, b"x" * len(OWN))
    heads.number(OWN_FROM, 7)
    heads.write(700, OWN)
    assert memory[84 : 84 + OWN_FROM + len(OWN)] == b"\0\0" + (703).to_bytes(2) + OWN
