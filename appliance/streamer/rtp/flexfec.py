"""Repair packets of draft-ietf-payload-flexible-fec-scheme-03, with one source and a flexible mask.

Each is the XOR of some packets: a viewer that misses one of those need not ask for it. Which packets are in
which is as in a Hamming code, so that of two neighbours that are missing some repair packet has only one.
"""

import math
from collections.abc import Iterator, Sequence

from appliance.streamer.rtp.layout import HEADER_BYTES

_MOST_PROTECTED = 15  # by one mask
_LAST_MASK = 1 << 15
_ONE_SOURCE = b"\1\0\0\0"


def repair_payloads(packets: Sequence[bytes], base: int, ssrc: int, repairs: int) -> Iterator[bytes]:
    """What the repair packets carry: `repairs` for each group of at most 15 packets, fewer for small groups.

    `packets` are consecutive RTP packets of the stream `ssrc`, in clear; `base` is the number of the first.
    Sequence numbers and sources in them do not matter; extensions that say when they left are zero.
    """
    size = math.ceil(len(packets) / math.ceil(len(packets) / _MOST_PROTECTED))
    for start in range(0, len(packets), size):
        group = packets[start : start + size]
        for covered in _covered(len(group), min(repairs, max(1, len(group) // 3))):
            yield _repair(group, covered, base + start & 0xFFFF, ssrc)


def _covered(count: int, repairs: int) -> Iterator[Sequence[int]]:
    """Indices of what each repair packet covers: packet i is in those that are the bits of its column."""
    columns = (1 << repairs) - 1
    for bit in range(repairs):
        yield [index for index in range(count) if (index % columns + 1) >> bit & 1]


def _repair(group: Sequence[bytes], covered: Sequence[int], base: int, ssrc: int) -> bytes:
    """Section 4.2.2: flags, length and timestamp that recover those of the missing packet, then its bytes."""
    mixed = length = 0
    mask = _LAST_MASK
    for index in covered:
        packet = group[index]
        mixed ^= int.from_bytes(packet, "little")  # the end of shorter ones counts as zero
        length ^= len(packet) - HEADER_BYTES
        mask |= _LAST_MASK >> index + 1
    xor = mixed.to_bytes(max(len(group[index]) for index in covered), "little")
    head = bytes((xor[0] & 0x3F, xor[1])) + length.to_bytes(2) + xor[4:8]
    return b"".join(
        (head, _ONE_SOURCE, ssrc.to_bytes(4), base.to_bytes(2), mask.to_bytes(2), xor[HEADER_BYTES:])
    )
