"""One packetized frame for all viewers, laid out so that protecting in place leaves it ready to be sent."""

import itertools
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

HEADER_BYTES = 12
_RUN_BYTES = 65_000  # of one UDP datagram, before it is segmented
RUN_PACKETS = 64  # UDP_MAX_SEGMENTS of Linux
_FIRST_BYTES = 2
_VERSION, _EXTENSION, _MARKER = 0x80, 0x10, 0x80


class Shape(NamedTuple):
    """What the packets of viewers must have in common to share a template."""

    payload_type: int
    extension_bytes: int
    """Of the block of header extensions, its own header included; 0 is without."""
    tag_bytes: int
    """Added by SRTP."""


class Run(NamedTuple):
    """Protected packets that lie side by side, all of `size` bytes but the last, which may be smaller."""

    start: int
    end: int
    size: int
    packets: int


@dataclass(frozen=True, slots=True)
class Layout:
    """Packets with gaps for what is the viewer's: fields of the header, extensions, the tag of SRTP."""

    template: bytes
    packets: Sequence[tuple[int, int]]
    """Offset and length before SRTP."""
    runs: Sequence[Run]
    heads: Sequence[int]
    """Offset in each packet of what is the viewer's: from the sequence number on."""
    sizes: "array[int]"
    """Of each packet after SRTP."""

    def part(self, start: int, stop: int) -> "Layout":
        """The packets from `start` to `stop` (exclusive) alone."""
        first, last = self.packets[start][0], self.packets[stop - 1][0] + self.sizes[stop - 1]
        packets = [(offset - first, length) for offset, length in self.packets[start:stop]]
        return _of(self.template[first:last], packets, self.sizes[start:stop])


@dataclass(slots=True)
class PackedFrame:
    """The payloads of one frame, kept for retransmission, and its layouts, kept while it is sent."""

    payloads: Sequence[bytes]
    timestamp: int
    """In VIDEO_CLOCK units, not wrapped."""
    captured: int = 0
    """When it was captured, for the viewers to know: NTP of 64 bits; 0 is not told."""
    _layouts: dict[Shape, Layout] = field(default_factory=dict)

    def layout(self, shape: Shape) -> Layout:
        """Made for the first viewer of this shape."""
        found = self._layouts.get(shape)
        if found is None:
            found = self._layouts[shape] = _lay_out(self.payloads, shape)
        return found

    def forget_layouts(self) -> None:
        """It has been sent to everybody."""
        self._layouts.clear()


def first_bytes(shape: Shape, payload_type: int, *, marker: bool) -> bytes:
    """The two bytes of an RTP header that are the same for all viewers of a shape."""
    extended = _EXTENSION if shape.extension_bytes else 0
    return bytes((_VERSION | extended, payload_type | (_MARKER if marker else 0)))


def side_by_side(packets: Sequence[bytes], tag_bytes: int) -> Layout:
    """Of packets that are complete in clear."""
    sizes = array("i", [len(packet) + tag_bytes for packet in packets])
    offsets = itertools.accumulate(sizes[:-1], initial=0)
    lengths = [(offset, len(packet)) for offset, packet in zip(offsets, packets, strict=True)]
    template = b"".join(packet + bytes(tag_bytes) for packet in packets)
    return _of(template, lengths, sizes)


def _lay_out(payloads: Sequence[bytes], shape: Shape) -> Layout:
    head_bytes = HEADER_BYTES + shape.extension_bytes
    gap, tag = bytes(head_bytes - _FIRST_BYTES), bytes(shape.tag_bytes)
    first, last = (first_bytes(shape, shape.payload_type, marker=marker) for marker in (False, True))
    parts: list[bytes] = []
    packets: list[tuple[int, int]] = []
    sizes = array("i")
    offset = 0
    for number, payload in enumerate(payloads, 1):
        parts += (last if number == len(payloads) else first, gap, payload, tag)
        length = head_bytes + len(payload)
        packets.append((offset, length))
        sizes.append(length + shape.tag_bytes)
        offset += sizes[-1]
    return _of(b"".join(parts), packets, sizes)


def _of(template: bytes, packets: Sequence[tuple[int, int]], sizes: "array[int]") -> Layout:
    heads = [offset + _FIRST_BYTES for offset, _ in packets]
    return Layout(template, packets, _runs(packets, sizes), heads, sizes)


def _runs(packets: Sequence[tuple[int, int]], sizes: Sequence[int]) -> list[Run]:
    runs: list[Run] = []
    for (offset, _), size in zip(packets, sizes, strict=True):
        run = runs[-1] if runs else None
        if (
            run
            and size <= run.size
            and run.end - run.start == run.packets * run.size  # none smaller so far
            and run.packets < RUN_PACKETS
            and offset + size - run.start <= _RUN_BYTES
        ):
            runs[-1] = Run(run.start, offset + size, run.size, run.packets + 1)
        else:
            runs.append(Run(offset, offset + size, size, 1))
    return runs
