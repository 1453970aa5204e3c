"""Pictures into RTP payloads: equal sizes, so that one send with UDP GSO takes many of them."""

import math
from collections.abc import Callable, Iterator

from appliance.streamer.frames import Codec

PAYLOAD_BYTES = 1156
"""With all headers it passes tunnels of 1280 bytes, also when it is sent again or repaired."""
_START_CODE = b"\0\0\1"
_FU_A, _STAP_A = 28, 24
_START, _END = 0x80, 0x40


def packetizer(codec: Codec) -> Callable[[bytes], list[bytes]]:
    """A function from a frame to its payloads."""
    return h264 if codec is Codec.H264 else vp8


def h264(data: bytes) -> list[bytes]:
    """RFC 6184 in packetization mode 1: large NAL units become FU-A, small neighbours one STAP-A."""
    payloads: list[bytes] = []
    small: list[bytes] = []
    room = PAYLOAD_BYTES - 1
    for nal in nal_units(data):
        if small and len(nal) + 2 > room:
            payloads.append(_aggregate(small))
            small, room = [], PAYLOAD_BYTES - 1
        if len(nal) > PAYLOAD_BYTES:
            payloads += _fragments(nal)
        else:
            small.append(nal)
            room -= len(nal) + 2
    if small:
        payloads.append(_aggregate(small))
    return payloads


def vp8(data: bytes) -> list[bytes]:
    """RFC 7741 without picture ids: two renditions cannot share them, and the order of packets is enough."""
    size = _even_size(len(data), PAYLOAD_BYTES - 1)
    return [(b"\0" if start else b"\x10") + data[start : start + size] for start in range(0, len(data), size)]


def nal_units(data: bytes) -> Iterator[bytes]:
    """Of Annex B. A unit never ends in a zero: those belong to the start code that follows."""
    start = data.find(_START_CODE)
    while start >= 0:
        end = data.find(_START_CODE, start + 3)
        if nal := data[start + 3 : end if end >= 0 else len(data)].rstrip(b"\0"):
            yield nal
        start = end


def _aggregate(nals: list[bytes]) -> bytes:
    if len(nals) == 1:
        return nals[0]
    header = _STAP_A | max(nal[0] & 0x60 for nal in nals) | max(nal[0] & 0x80 for nal in nals)
    return bytes([header]) + b"".join(len(nal).to_bytes(2) + nal for nal in nals)


def _fragments(nal: bytes) -> list[bytes]:
    indicator, kind = nal[0] & 0xE0 | _FU_A, nal[0] & 0x1F
    size = _even_size(len(nal) - 1, PAYLOAD_BYTES - 2)
    first, middle, last = (bytes((indicator, flag | kind)) for flag in (_START, 0, _END))
    starts = range(1, len(nal), size)
    return [
        first + nal[1 : 1 + size],
        *[middle + nal[start : start + size] for start in starts[1:-1]],
        last + nal[starts[-1] :],
    ]


def _even_size(total: int, most: int) -> int:
    """The size of all parts but the last, which may be a little smaller."""
    return math.ceil(total / math.ceil(total / most)) if total else 1
