import struct

import pytest

from bench.feedback import Reporter, Seen, report, transport_sequence

pytestmark = pytest.mark.unit


def test_packets_of_a_frame_are_reported_at_even_distances() -> None:
    message = report(7, [Seen(99, 6.400), Seen(103, 6.408)], ssrc=5)
    first_bytes, kind, words, sender, media = struct.unpack_from("!BBHII", message)
    assert (first_bytes, kind, len(message)) == (0x8F, 205, 4 * words + 4)
    assert (sender, media) == (1, 5)
    first, count, clock, chunk = struct.unpack_from("!HHIH", message, 12)
    assert (first, count, clock >> 8, clock & 0xFF, chunk) == (100, 4, 100, 7, 1 << 13 | 4)
    assert list(message[22:26]) == [8, 8, 8, 8]


def test_what_begins_a_frame_is_reported_with_the_first_that_is_seen_of_it() -> None:
    message = report(0, [Seen(99, 6.4, ends=True), Seen(102, 6.5), Seen(104, 6.75, ends=True)], ssrc=5)
    chunk, *deltas = struct.unpack_from("!H5h", message, 20)
    assert (chunk, deltas[1:]) == (2 << 13 | 5, [0, 0, 500, 500])


def test_long_pauses_take_large_deltas() -> None:
    message = report(0, [Seen(1, 6.4), Seen(2, 6.41), Seen(3, 6.5)], ssrc=5)
    chunk, *deltas = struct.unpack_from("!Hhh", message, 20)
    assert (chunk, deltas) == (2 << 13 | 2, [40, 360])


def test_after_a_pause_the_clock_of_a_message_is_that_of_its_first_packet() -> None:
    message = report(0, [Seen(1, 0.001), Seen(2, 6.405)], ssrc=5)
    _, _, clock, chunk = struct.unpack_from("!HHIH", message, 12)
    assert (clock >> 8, chunk, message[22]) == (100, 1 << 13 | 1, 20)


def test_a_message_comes_when_it_is_time_and_tells_nothing_twice() -> None:
    reporter = Reporter()
    assert reporter.arrived(65534, 5, 1.00) == b""
    assert reporter.arrived(2, 5, 1.02) == b""
    assert struct.unpack_from("!HH", reporter.arrived(4, 5, 1.06), 12) == (65535, 6)
    assert reporter.arrived(4, 5, 1.07) == b""
    assert struct.unpack_from("!HH", reporter.arrived(9, 5, 1.12), 12) == (5, 5)


def test_the_number_is_found_among_other_extensions() -> None:
    elements = bytes((0x32, 1, 2, 3, 0x10, 48, 0x41, 0x12, 0x34, 0x52, 0, 0, 0, 0, 0, 0))
    packet = bytes((0x90, 97)) + bytes(10) + struct.pack("!HH", 0xBEDE, len(elements) // 4) + elements
    assert transport_sequence(packet) == 0x1234
    assert transport_sequence(bytes((0x80, 97)) + bytes(20)) is None
