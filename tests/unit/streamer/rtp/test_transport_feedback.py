import contextlib
import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import InvalidInputError
from appliance.streamer.rtp.transport_feedback import MAX_STATUSES, Feedback, parse

pytestmark = pytest.mark.unit


def head(first: int, count: int, reference: int = 0, number: int = 0) -> bytes:
    return struct.pack("!HHI", first, count, (reference & 0xFFFFFF) << 8 | number)


def run(symbol: int, length: int) -> bytes:
    return struct.pack("!H", symbol << 13 | length)


def encode(arrivals: list[int | None], first: int = 7, number: int = 1) -> bytes:
    """As a receiver would, in two-bit vectors; times in units of 250 us from 0."""
    then, deltas, symbols = 0, b"", []
    for arrival in arrivals:
        if arrival is None:
            symbols.append(0)
            continue
        delta, then = arrival - then, arrival
        symbols.append(1 if 0 <= delta < 256 else 2)
        deltas += struct.pack("!B" if symbols[-1] == 1 else "!h", delta)
    chunks = b""
    for start in range(0, len(symbols), 7):
        part = (symbols[start : start + 7] + [0] * 7)[:7]
        chunks += struct.pack("!H", 0xC000 | sum(symbol << 12 - 2 * at for at, symbol in enumerate(part)))
    return head(first, len(arrivals), number=number) + chunks + deltas


def test_a_run_of_packets_that_all_arrived() -> None:
    fci = head(65_534, 3, reference=2, number=255) + run(1, 3) + bytes((4, 0, 255)) + b"\0\0\0"
    assert parse(fci) == Feedback(255, 65_534, [129_000, 129_000, 192_750])


def test_a_run_of_packets_far_apart_or_out_of_order() -> None:
    fci = head(1, 3) + run(2, 3) + struct.pack("!3h", 400, -100, 300)
    assert parse(fci).arrivals == [100_000, 75_000, 150_000]


def test_losses_in_a_vector_of_one_bit_symbols() -> None:
    fci = head(1, 5) + struct.pack("!H", 0x8000 | 0b10110 << 9) + bytes((1, 1, 1))
    assert parse(fci).arrivals == [250, None, 500, 750, None]


def test_packets_out_of_order_have_negative_deltas() -> None:
    fci = head(1, 3) + struct.pack("!H", 0xC000 | 0b10_01_10 << 8) + struct.pack("!hBh", 400, 2, -100)
    assert parse(fci).arrivals == [100_000, 100_500, 75_500]


def test_the_reference_time_is_signed() -> None:
    assert parse(head(0, 1, reference=-1) + run(1, 1) + b"\0").arrivals == [-64_000]


def test_chunks_may_say_more_than_there_are_packets() -> None:
    assert parse(head(0, 2) + run(1, 8191) + b"\0\0").arrivals == [0, 0]
    assert parse(head(0, 2) + struct.pack("!H", 0x8000 | 0b11 << 12) + b"\0\0").arrivals == [0, 0]


def test_a_message_about_packets_that_are_nearly_all_missing() -> None:
    fci = head(1, MAX_STATUSES) + run(2, 1) + run(0, MAX_STATUSES - 2) + run(1, 1) + struct.pack("!hB", -4, 8)
    assert parse(fci).arrivals == [-1000, *[None] * (MAX_STATUSES - 2), 1000]


@given(st.lists(st.none() | st.integers(0, 30_000), min_size=1, max_size=100), st.integers(0, 65_535))
def test_what_was_encoded_is_read(arrivals: list[int | None], first: int) -> None:
    expected = [None if arrival is None else arrival * 250 for arrival in arrivals]
    assert parse(encode(arrivals, first)) == Feedback(1, first, expected)


@pytest.mark.parametrize(
    "fci",
    [
        b"",
        bytes(7),
        head(0, 0) + run(1, 0),
        head(0, MAX_STATUSES + 1) + run(0, 8191) * 2,
        head(0, 1),
        head(0, 1) + b"\x20",
        head(0, 20) + run(1, 10) + bytes(10),
        head(0, 2) + run(1, 2) + b"\0",
        head(0, 1) + run(2, 1) + b"\0",
        head(0, 1) + run(3, 1) + bytes(4),
        head(0, MAX_STATUSES) + run(0, 0) * 1000,
    ],
)
def test_malformed(fci: bytes) -> None:
    with pytest.raises(InvalidInputError, match="transport feedback"):
        parse(fci)


@given(st.binary(max_size=200))
def test_noise_is_refused_or_read(fci: bytes) -> None:
    with contextlib.suppress(InvalidInputError):
        assert 0 < len(parse(fci).arrivals) <= MAX_STATUSES


def test_messages_with_a_few_wrong_bytes_are_refused_or_read() -> None:
    dice = random.Random(5)  # noqa: S311
    sound = encode([at * 20 if at % 9 else None for at in range(100)])
    for _ in range(1000):
        damaged = bytearray(sound[: dice.randrange(len(sound) + 1)])
        for _ in range(dice.randrange(4)):
            if damaged:
                damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        with contextlib.suppress(InvalidInputError):
            assert len(parse(bytes(damaged)).arrivals) <= MAX_STATUSES
