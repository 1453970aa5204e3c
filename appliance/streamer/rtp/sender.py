"""The RTP stream of one viewer: what is its own in packets that are everybody's."""

import secrets
import struct
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import repeat

from appliance.streamer.rtp import flexfec
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
    side_by_side,
)
from appliance.streamer.rtp.link import Ledger, Link
from appliance.streamer.rtp.retransmission import History, SentFrame

_REPEATABLE = 1000
"""SRTP protects no packet again that is 1024 behind the newest (RFC 3711 section 3.3.2; aiortc's window)."""
_PADDED = 0x20
_PADDING = bytes(254) + b"\xff"  # the most that RFC 3550 has room for; the last byte counts


class _Form:
    """One way to lay packets out, and how the head of such a packet is written."""

    def __init__(self, shape: Shape, extensions: Extensions) -> None:
        self.shape = shape._replace(extension_bytes=len(extensions.block))
        self.extensions = extensions
        before, after = map(len, extensions.stamped(0))
        number = "" if extensions.sequence_at is None else "H"
        self.patch = struct.Struct(f"!HLL{before}s{number}{after}s").pack_into


class _Beside:
    """A stream beside the picture, under numbers of its own."""

    def __init__(self, ssrc: int, payload_type: int | None, form: _Form) -> None:
        self.ssrc = ssrc
        self.payload_type = payload_type or 0
        self.form = form
        self.sequence = secrets.randbelow(1 << 15)


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
        self._transport_sequence = secrets.randbelow(1 << 15)
        self._plain = _Form(link.shape, link.extensions)
        self._told = _Form(link.shape, link.told)
        self._rtx = _Beside(link.rtx_ssrc, link.rtx_payload_type, self._plain)
        small = _Form(link.shape, link.extensions.number_alone())
        self._fec = _Beside(link.fec_ssrc, link.fec_payload_type, small)

    @property
    def pads(self) -> bool:
        """Whether it can send packets that mean nothing, and is told of their arrival."""
        return self._numbered and self._link.rtx_payload_type is not None

    @property
    def repairs(self) -> bool:
        """Whether it can send packets that repair the picture, and is told of loss."""
        return self._numbered and self._link.fec_payload_type is not None

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
            self._timestamp = max(self._timestamp + 1, packed.timestamp)  # renditions share pictures
        ntp = ntp_now()
        extension = form.extensions.stamped(ntp, packed.captured)
        timestamp = self.wire_timestamp
        view = link.load(layout.template)
        count = len(layout.packets)
        self._write_heads(view, layout, form.patch, timestamp, extension)
        self._ledger.sent_together(self._transport_sequence, layout.sizes, now)
        link.protect(layout.packets)
        shape = form.shape
        octets = len(layout.template) - count * (HEADER_BYTES + shape.extension_bytes + shape.tag_bytes)
        first, transport_first = self._sequence, self._transport_sequence
        sent = SentFrame(first, packed, timestamp, extension, transport_first, start, count)
        self.history.remember(sent, octets, now)
        self._sequence += count
        self._transport_sequence += count
        link.sent(count, octets, ntp, timestamp)
        return path.send(view, layout.runs)

    @property
    def wire_timestamp(self) -> int:
        """The RTP timestamp that this viewer sees of the frame that was sent last."""
        return (self._origin + self._timestamp) & 0xFFFFFFFF

    def retransmit(self, sequences: Sequence[int], now: float) -> int:
        """Answer a NACK (RFC 4585), with the format of RFC 4588 if agreed on; returns the bytes sent.

        Raises UnavailableError.
        """
        path = self._link.path()
        if self._link.rtx_payload_type is None:
            sequences = [each for each in sequences if (self._sequence - each & 0xFFFF) < _REPEATABLE]
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

    def repair(self, packed: PackedFrame, repairs: int, now: float) -> int:
        """Protect the frame that has just been sent, see flexfec.py; returns the bytes sent.

        Raises UnavailableError.
        """
        link, form = self._link, self._form(packed)
        payloads = packed.payloads
        # The viewer, too, takes the sending time and the transport-wide number for zero.
        block = b"\0\0".join(form.extensions.stamped(0, packed.captured))
        rest = bytes(2) + self.wire_timestamp.to_bytes(4) + bytes(4) + block
        inner = first_bytes(form.shape, form.shape.payload_type, marker=False) + rest
        last = first_bytes(form.shape, form.shape.payload_type, marker=True) + rest
        packets = [inner + payload for payload in payloads[:-1]] + [last + payloads[-1]]
        base = self._sequence - len(packets)
        extension = self._fec.form.extensions.stamped(ntp_now())
        layout = side_by_side(
            [
                self._head_beside(self._fec, extension, len(payload), now) + payload
                for payload in flexfec.repair_payloads(packets, base, link.ssrc, repairs)
            ],
            link.shape.tag_bytes,
        )
        view = link.load(layout.template)
        link.protect(layout.packets)
        link.path().send(view, layout.runs)
        return len(view)

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
        heads = [
            self._head_beside(self._rtx, extension, len(_PADDING), now, padded=True, probe=probe)
            for _ in range(count)
        ]
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
    ) -> None:
        """For every packet to every viewer, so without a loop in Python."""
        count = len(layout.heads)
        same = map(repeat, (timestamp, self._link.ssrc, extension[0]))
        own = [_numbers(self._transport_sequence, count)] if self._numbered else []
        written = map(
            patch,
            repeat(view),
            layout.heads,
            _numbers(self._sequence, count),
            *same,
            *own,
            repeat(extension[1]),
        )
        deque(written, maxlen=0)

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
        extension = link.extensions.stamped(ntp_now())
        original = (sequence & 0xFFFF).to_bytes(2) + payload
        head_again = self._head_beside(
            self._rtx, extension, len(original), now, timestamp=frame.timestamp, marker=last
        )
        return head_again + original

    def _head_beside(
        self,
        stream: _Beside,
        extension: tuple[bytes, bytes],
        octets: int,
        now: float,
        *,
        timestamp: int | None = None,
        marker: bool = False,
        padded: bool = False,
        probe: int | None = None,
    ) -> bytes:
        """Of the next packet of `stream`, which counts as sent with so many octets behind the head."""
        form, shape = stream.form, stream.form.shape
        head = bytearray(HEADER_BYTES + shape.extension_bytes)
        head[:2] = first_bytes(shape, stream.payload_type, marker=marker)
        head[0] |= _PADDED if padded else 0
        stamp = self.wire_timestamp if timestamp is None else timestamp
        number = self._transport_sequence
        self._write_head(head, form.patch, stream.sequence, stamp, stream.ssrc, extension, number)
        stream.sequence += 1
        self._ledger.sent(number, len(head) + octets + shape.tag_bytes, now, probe)
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


def _numbers(first: int, count: int) -> Iterable[int]:
    """So many from `first` on, wrapped at 16 bits."""
    first &= 0xFFFF
    if first + count <= 1 << 16:
        return range(first, first + count)
    return [number & 0xFFFF for number in range(first, first + count)]
