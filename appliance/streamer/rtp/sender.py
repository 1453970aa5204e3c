"""The RTP stream of one viewer: what is its own in packets that are everybody's."""

import secrets
import struct
from collections.abc import Callable, Sequence
from typing import Protocol

from appliance.streamer.rtp.clock import ntp_now
from appliance.streamer.rtp.extensions import Extensions
from appliance.streamer.rtp.layout import (
    HEADER_BYTES,
    RUN_PACKETS,
    Layout,
    PackedFrame,
    Run,
    Shape,
    first_bytes,
)
from appliance.streamer.rtp.retransmission import History, SentFrame
from appliance.streamer.rtp.sockets import Path

_PADDED = 0x20
_PADDING = bytes(254) + b"\xff"  # the most that RFC 3550 has room for; the last byte counts


class Link(Protocol):
    """The negotiated side of a stream: keys, numbers, the way to the viewer. It outlives no connection."""

    ssrc: int
    rtx_ssrc: int
    rtx_payload_type: int | None
    shape: Shape
    extensions: Extensions
    told: Extensions
    """Those of frames whose capture time is told; the same where that was not agreed on."""

    @property
    def rtt(self) -> float:
        """Round trip in seconds; 0 while it is not known."""

    def path(self) -> Path:
        """Where packets go now. Raises UnavailableError when there is no way any more."""

    def load(self, data: bytes) -> memoryview:
        """A copy of `data` in memory that packets are protected in; the one before is gone."""

    def protect(self, packets: Sequence[tuple[int, int]]) -> None:
        """SRTP in place, for packets at these offsets with these lengths. Raises UnavailableError."""

    def sent(self, packets: int, octets: int, ntp: int, timestamp: int) -> None:
        """Count what was sent, for sender reports."""

    def close(self) -> None:
        """Let go of it."""


class Ledger(Protocol):
    """Learns of every packet that carries a transport-wide sequence number."""

    def sent(self, sequence: int, octets: int, now: float, probe: int | None = None) -> None:
        """It leaves now; the number is not wrapped."""


class _Form:
    """One way to lay packets out, and how the head of such a packet is written."""

    def __init__(self, shape: Shape, extensions: Extensions) -> None:
        self.shape = shape
        self.extensions = extensions
        before, after = map(len, extensions.stamped(0))
        number = "" if extensions.sequence_at is None else "H"
        self.patch = struct.Struct(f"!HLL{before}s{number}{after}s").pack_into


class ViewerStream:
    """Sends shared frames to one viewer, under its own sequence numbers, clock and key.

    `now` is time.monotonic() everywhere.
    """

    def __init__(self, link: Link, ledger: Ledger) -> None:
        self.history = History()
        self._link = link
        self._ledger = ledger
        self._numbered = link.extensions.sequence_at is not None
        # In the lower half, so that SRTP does not meet a wrap at once when the first packets are lost.
        self._sequence = secrets.randbelow(1 << 15)
        self._origin = secrets.randbits(32)
        self._timestamp = -1
        self._rtx_sequence = secrets.randbelow(1 << 15)
        self._transport_sequence = secrets.randbelow(1 << 15)
        self._plain = _Form(link.shape, link.extensions)
        self._told = _Form(link.shape._replace(extension_bytes=len(link.told.block)), link.told)

    @property
    def pads(self) -> bool:
        """Whether it can send packets that mean nothing, and is told of their arrival."""
        return self._numbered and self._link.rtx_payload_type is not None

    def size(self, packed: PackedFrame) -> int:
        """Bytes of a frame as it goes to this viewer, without UDP and below."""
        return len(packed.layout(self._form(packed).shape).template)

    def send(self, packed: PackedFrame, now: float, start: int = 0, stop: int | None = None) -> bool:
        """Send a frame, or its packets from `start` to `stop`.

        False where the network took only a part of it. Raises UnavailableError.
        """
        link = self._link
        path = link.path()
        form = self._form(packed)
        layout = packed.layout(form.shape)
        if start or stop is not None:
            layout = layout.part(start, len(layout.packets) if stop is None else stop)
        if not start:
            self._timestamp = max(self._timestamp + 1, packed.timestamp)  # renditions may share a picture
        ntp = ntp_now()
        extension = form.extensions.stamped(ntp, packed.captured)
        timestamp = self.wire_timestamp(packed)
        view = link.load(layout.template)
        count = len(layout.packets)
        self._write_heads(view, layout, form.patch, timestamp, extension, now)
        link.protect(layout.packets)
        octets = len(layout.template) - count * (HEADER_BYTES + form.shape.extension_bytes + layout.tag_bytes)
        first, transport_first = self._sequence, self._transport_sequence
        sent = SentFrame(first, packed, timestamp, extension, transport_first, start, count)
        self.history.remember(sent, octets, now)
        self._sequence += count
        self._transport_sequence += count
        link.sent(count, octets, ntp, timestamp)
        return path.send(view, layout.runs)

    def wire_timestamp(self, packed: PackedFrame) -> int:
        """The RTP timestamp that this viewer sees."""
        return (self._origin + packed.timestamp) & 0xFFFFFFFF

    def retransmit(self, sequences: Sequence[int], now: float) -> int:
        """Answer a NACK (RFC 4585), with the format of RFC 4588 if agreed on; returns the bytes sent.

        Raises UnavailableError.
        """
        path = self._link.path()
        octets = 0
        for frame, index in self.history.lost(sequences, self._link.rtt, now):
            packet = self._again(frame, index, now)
            view = self._link.load(packet + bytes(self._link.shape.tag_bytes))
            self._link.protect([(0, len(packet))])
            if not path.send_one(view):
                break
            octets += len(view)
        return octets

    def repeat_last(self, now: float) -> int:
        """Send the newest packet again; returns the bytes sent. Raises UnavailableError."""
        return self.retransmit((self._sequence - 1,), now)

    def pad(self, octets: int, now: float, probe: int) -> int:
        """Send at most about so many bytes that mean nothing, as part of a probe; returns how many left.

        Raises UnavailableError.
        """
        link, shape = self._link, self._link.shape
        length = HEADER_BYTES + shape.extension_bytes + len(_PADDING)
        size = length + shape.tag_bytes
        count = min(max(1, octets // size), RUN_PACKETS)
        gap = _PADDING + bytes(shape.tag_bytes)
        extension = link.extensions.stamped(ntp_now())
        heads = [self._rtx_head(extension, size, now, padded=True, probe=probe) for _ in range(count)]
        view = link.load(b"".join(head + gap for head in heads))
        link.protect([(offset, length) for offset in range(0, count * size, size)])
        return len(view) if link.path().send(view, [Run(0, len(view), size, count)]) else 0

    def close(self) -> None:
        """Let go of the connection."""
        self._link.close()

    def _form(self, packed: PackedFrame) -> "_Form":
        return self._told if packed.captured else self._plain

    def _write_heads(
        self,
        view: memoryview,
        layout: Layout,
        patch: Callable[..., None],
        timestamp: int,
        extension: tuple[bytes, bytes],
        now: float,
    ) -> None:
        """What a viewer costs: this loop runs for every packet to every one of them."""
        ssrc, sequence = self._link.ssrc, self._sequence
        before, after = extension
        if not self._numbered:
            for offset, _ in layout.packets:
                patch(view, offset + 2, sequence & 0xFFFF, timestamp, ssrc, before, after)
                sequence += 1
            return
        number, sent, tag = self._transport_sequence, self._ledger.sent, layout.tag_bytes
        for offset, length in layout.packets:
            patch(view, offset + 2, sequence & 0xFFFF, timestamp, ssrc, before, number & 0xFFFF, after)
            sent(number, length + tag, now)
            sequence += 1
            number += 1

    def _again(self, frame: SentFrame, index: int, now: float) -> bytes:
        link, shape = self._link, self._link.shape
        sequence = frame.first + index - frame.start
        payloads = frame.packed.payloads
        last, payload = index + 1 == len(payloads), payloads[index]
        if link.rtx_payload_type is None:
            # The very same bytes: the key would leak from two packets with one number.
            form = self._form(frame.packed)
            head = bytearray(HEADER_BYTES + form.shape.extension_bytes)
            head[:2] = first_bytes(form.shape, shape.payload_type, marker=last)
            number = frame.transport_first + index - frame.start
            self._write_head(head, form.patch, sequence, frame.timestamp, link.ssrc, frame.extension, number)
            return bytes(head) + payload
        size = HEADER_BYTES + shape.extension_bytes + 2 + len(payload) + shape.tag_bytes
        extension = link.extensions.stamped(ntp_now())
        head_again = self._rtx_head(extension, size, now, timestamp=frame.timestamp, marker=last)
        return head_again + (sequence & 0xFFFF).to_bytes(2) + payload

    def _rtx_head(
        self,
        extension: tuple[bytes, bytes],
        size: int,
        now: float,
        *,
        timestamp: int | None = None,
        marker: bool = False,
        padded: bool = False,
        probe: int | None = None,
    ) -> bytes:
        """Of the next packet of the retransmission stream, which counts as sent with `size` bytes."""
        link, shape = self._link, self._link.shape
        head = bytearray(HEADER_BYTES + shape.extension_bytes)
        head[:2] = first_bytes(shape, link.rtx_payload_type or 0, marker=marker)
        head[0] |= _PADDED if padded else 0
        stamp = self._origin + self._timestamp & 0xFFFFFFFF if timestamp is None else timestamp
        patch, sequence, number = self._plain.patch, self._rtx_sequence, self._transport_sequence
        self._write_head(head, patch, sequence, stamp, link.rtx_ssrc, extension, number)
        self._rtx_sequence += 1
        if self._numbered:
            self._ledger.sent(self._transport_sequence, size, now, probe)
            self._transport_sequence += 1
        return bytes(head)

    def _write_head(
        self,
        head: bytearray,
        patch: Callable[..., None],
        sequence: int,
        timestamp: int,
        ssrc: int,
        extension: tuple[bytes, bytes],
        transport_sequence: int,
    ) -> None:
        before, after = extension
        number = (transport_sequence & 0xFFFF,) if self._numbered else ()
        patch(head, 2, sequence & 0xFFFF, timestamp, ssrc, before, *number, after)
