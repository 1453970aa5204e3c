import pytest
from aiortc.codecs.h264 import H264PayloadDescriptor
from aiortc.codecs.vpx import VpxPayloadDescriptor
from hypothesis import given
from hypothesis import strategies as st

from appliance.streamer.rtp.packetizer import PAYLOAD_BYTES, h264, vp8

pytestmark = pytest.mark.unit

START = b"\0\0\0\1"


def nal(kind: int, size: int) -> bytes:
    """A unit of `size` bytes without zeros."""
    return bytes([0x60 | kind]) + bytes(1 + number % 255 for number in range(size - 1))


def received(payloads: list[bytes]) -> bytes:
    """What aiortc's depacketizer makes of it."""
    return b"".join(H264PayloadDescriptor.parse(payload)[1] for payload in payloads)


@given(st.lists(st.tuples(st.sampled_from([1, 5, 6, 7, 8]), st.integers(2, 6000)), min_size=1, max_size=12))
def test_every_unit_comes_back_as_it_was(units: list[tuple[int, int]]) -> None:
    frame = b"".join(START + nal(kind, size) for kind, size in units)
    payloads = h264(frame)
    assert received(payloads) == frame
    assert max(map(len, payloads)) <= PAYLOAD_BYTES


def test_the_fragments_of_a_large_unit_are_of_one_size_but_for_the_last() -> None:
    *equal, last = h264(START + nal(5, 30_000))
    assert len({len(payload) for payload in equal}) == 1
    assert len(equal[0]) - len(equal) <= len(last) <= len(equal[0])
    flags = [payload[1] & 0xC0 for payload in (*equal, last)]
    assert flags == [0x80] + [0] * (len(equal) - 1) + [0x40]


def test_parameter_sets_travel_with_the_small_picture_that_follows() -> None:
    units = [nal(7, 20), nal(8, 6), nal(6, 100), nal(5, 700)]
    (payload,) = h264(b"".join(START + unit for unit in units))
    assert payload[0] & 0x1F == 24
    assert received([payload]) == b"".join(START + unit for unit in units)


def test_start_codes_of_three_bytes_and_trailing_zeros_are_no_part_of_a_unit() -> None:
    assert received(h264(b"\0\0\1" + nal(7, 9) + b"\0\0\0\0\1" + nal(1, 9) + b"\0\0")) == (
        START + nal(7, 9) + START + nal(1, 9)
    )
    assert h264(b"") == h264(b"\0\0\1\0\0\1") == []


@given(st.integers(1, 9000))
def test_a_vp8_frame_comes_back_as_it_was(size: int) -> None:
    frame = bytes(number % 251 for number in range(size))
    payloads = vp8(frame)
    parsed = [VpxPayloadDescriptor.parse(payload) for payload in payloads]
    assert b"".join(data for _, data in parsed) == frame
    assert [head.partition_start for head, _ in parsed] == [1] + [0] * (len(payloads) - 1)
    assert len({len(payload) for payload in payloads[:-1]}) <= 1
    assert max(map(len, payloads)) <= PAYLOAD_BYTES
