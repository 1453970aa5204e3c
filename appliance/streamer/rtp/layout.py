"""One packetized frame for all viewers, laid out so that protecting in place leaves it ready to be sent."""

import itertools
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from appliance.streamer.rtp.heads import OWN_FROM, Heads
from appliance.streamer.rtp.runs import Run, runs_of

HEADER_BYTES = 12
_VERSION, _EXTENSION, _MARKER = 0x80, 0x10, 0x80


class Shape(NamedTuple):
    """What the packets of viewers must have in common to share a template."""

    payload_type: int
    extension_bytes: int
    """Of the block of header extensions, its own header included; 0 is without."""
    tag_bytes: int
    """Added by SRTP."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Packets with gaps for what is the viewer's: fields of the header, extensions, the tag of SRTP."""

    template: bytearray
    packets: Sequence[tuple[int, int]]
    """Offset and length before SRTP."""
    runs: Sequence[Run]
    heads: Heads
    """They are the viewer's own, and written into the template before that is copied."""
    sizes: "array[int]"
    """Of each packet after SRTP."""

    def part(self, start: int, stop: int) -> "Layout":
        """The packets from `start` to `stop` (exclusive) alone."""
        first, last = self.packets[start][0], self.packets[stop - 1][0] + self.sizes[stop - 1]
        packets = [(offset - first, length) for offset, length in self.packets[start:stop]]
        return _of(self.template[first:last], packets, self.sizes[start:stop], self.heads.octets)


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
    template = bytearray().join(packet + bytes(tag_bytes) for packet in packets)
    return Layout(template, lengths, runs_of(lengths, sizes), Heads(template, (), 0), sizes)


def _lay_out(payloads: Sequence[bytes], shape: Shape) -> Layout:
    tag = bytes(shape.tag_bytes)
    head = first_bytes(shape, shape.payload_type, marker=False)
    head += bytes(HEADER_BYTES + shape.extension_bytes - len(head))
    lengths = [len(head) + len(payload) for payload in payloads]
    sizes = array("i", [length + shape.tag_bytes for length in lengths])
    packets = [*zip(itertools.accumulate(sizes[:-1], initial=0), lengths, strict=True)]
    template = bytearray().join((head, (tag + head).join(payloads), tag))
    template[packets[-1][0] + 1] |= _MARKER
    return _of(template, packets, sizes, len(head) - OWN_FROM)


def _of(
    template: bytearray, packets: Sequence[tuple[int, int]], sizes: "array[int]", own_bytes: int
) -> Layout:
    runs = runs_of(packets, sizes)
    return Layout(template, packets, runs, Heads(template, runs, own_bytes), sizes)
