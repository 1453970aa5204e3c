from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.streamer.rtp.red import redundant

pytestmark = pytest.mark.unit


@dataclass(frozen=True)
class Packet:
    data: bytes
    timestamp: int


def blocks(payload: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Payload type, age and data of each block, written from RFC 2198."""
    headers = []
    while payload[0] & 0x80:
        word = int.from_bytes(payload[:4])
        headers.append((word >> 24 & 0x7F, word >> 10 & 0x3FFF, word & 0x3FF))
        payload = payload[4:]
    last, payload = payload[0], payload[1:]
    for kind, age, length in headers:
        yield kind, age, payload[:length]
        payload = payload[length:]
    yield last, 0, payload


def test_a_packet_repeats_those_before_it_oldest_first() -> None:
    packet, earlier = Packet(b"now", 2400), [Packet(b"oldest", 1440), Packet(b"old", 1920)]
    assert list(blocks(redundant(packet, earlier, 96))) == [
        (96, 960, b"oldest"),
        (96, 480, b"old"),
        (96, 0, b"now"),
    ]


def test_the_first_packet_stands_alone() -> None:
    assert redundant(Packet(b"\xf4now", 0), [], 111) == b"\x6f\xf4now"


@given(
    st.lists(st.tuples(st.integers(1, 20_000), st.binary(max_size=1100)), max_size=3),
    st.binary(min_size=1, max_size=1300),
)
def test_what_the_format_cannot_name_is_left_out(steps: list[tuple[int, bytes]], data: bytes) -> None:
    timestamp, earlier = 1 << 40, []
    for step, each in steps:
        timestamp += step
        earlier.append(Packet(each, timestamp))
    packet = Packet(data, timestamp + 480)
    nameable = [
        (96, packet.timestamp - each.timestamp, each.data)
        for each in earlier
        if packet.timestamp - each.timestamp < 1 << 14 and len(each.data) < 1 << 10
    ]
    assert list(blocks(redundant(packet, earlier, 96))) == [*nameable, (96, 0, data)]
