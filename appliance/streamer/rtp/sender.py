"""The RTP stream of one viewer: what is its own in packets that are everybody's."""

import secrets
import struct
from collections.abc import Sequence

from appliance.streamer.rtp import flexfec
from appliance.streamer.rtp.clock import ntp_now
from appliance.streamer.rtp.extensions import Extensions
from appliance.streamer.rtp.layout import HEADER_BYTES, PackedFrame, Shape, first_bytes, side_by_side
from appliance.streamer.rtp.link import Ledger, Link
from appliance.streamer.rtp.retransmission import History, SentFrame
from appliance.streamer.rtp.runs import RUN_PACKETS, Run

_REPEATABLE = 1000
"""SRTP protects no packet again that is 1024 behind the newest (RFC 3711 section 3.3.2; aiortc's window)."""
_OWN = struct.Struct("!LL").pack  # the timestamp and the source
_PADDED = 0x20
_PADDING = bytes(254) + b"\xff"  # the most that RFC 3550 has room for; the last byte counts


class _Form:
    """One way to lay packets out."""

    def __init__(self, shape: Shape, extensions: Extensions) -> None:
        self.shape = shape._replace(extension_bytes=len(extensions.block))
        self.extensions = extensions
        at = extensions.sequence_at
        self.number_at = None if at is None else HEADER_BYTES + at
        """Where a packet has its transport-wide sequence number."""


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
        return self._plain.number_at is not None and self._link.rtx_payload_type is not None

    @property
    def repairs(self) -> bool:
        """Whether it can send packets that repair the picture, and is told of loss."""
        return self._plain.number_at is not None and self._link.fec_payload_type is not None

    def size(self, packed: PackedFrame) -> int:
        """Bytes of a frame as it goes to this viewer, without UDP and below."""
        return len(packed.layout(self._form(packed).shape).template)

    def send(self, packed: PackedFrame, now: float, start: int = 0, stop: int | None = None) -> bool:
        """Send a frame, or its packets from `start` to `stop`.

        False where the network took only a part of it. Raises UnavailableError.
        """
        link, form = self._link, self._form(packed)
        path, layout = link.path(), packed.layout(form.shape)
        if start or stop is not None:
            layout = layout.part(start, len(layout.packets) if stop is None else stop)
        if not start:
            self._timestamp = max(self._timestamp + 1, packed.timestamp)  # renditions share pictures
        ntp, timestamp = ntp_now(), self.wire_timestamp
        first, number, heads = self._sequence, self._transport_sequence, layout.heads
        heads.write(first, _OWN(timestamp, link.ssrc) + form.extensions.stamped(ntp, packed.captured))
        if form.number_at is not None:
            heads.number(form.number_at, number)
        view = link.protect(layout.template, layout.packets)
        self._ledger.sent_together(number, layout.sizes, len(view), now)
        shape, count = form.shape, len(layout.packets)
        octets = len(view) - count * (HEADER_BYTES + shape.extension_bytes + shape.tag_bytes)
        self.history.remember(SentFrame(first, packed, timestamp, ntp, number, start, count), octets, now)
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
            view = self._link.protect(packet + bytes(self._link.shape.tag_bytes), [(0, len(packet))])
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
        block = form.extensions.stamped(0, packed.captured)
        rest = bytes(2) + self.wire_timestamp.to_bytes(4) + bytes(4) + block
        inner = first_bytes(form.shape, form.shape.payload_type, marker=False) + rest
        last = first_bytes(form.shape, form.shape.payload_type, marker=True) + rest
        packets = [inner + payload for payload in payloads[:-1]] + [last + payloads[-1]]
        base = self._sequence - len(packets)
        ntp = ntp_now()
        layout = side_by_side(
            [
                self._head_beside(self._fec, ntp, len(payload), now) + payload
                for payload in flexfec.repair_payloads(packets, base, link.ssrc, repairs)
            ],
            link.shape.tag_bytes,
        )
        view = link.protect(layout.template, layout.packets)
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
        ntp = ntp_now()
        heads = [
            self._head_beside(self._rtx, ntp, len(_PADDING), now, padded=True, probe=probe)
            for _ in range(count)
        ]
        packets = [(offset, length) for offset in range(0, count * size, size)]
        view = link.protect(b"".join(head + gap for head in heads), packets)
        return len(view) if link.path().send(view, [Run(0, len(view), size, count)]) else 0

    def close(self) -> None:
        """Let go of the connection."""
        self._link.close()

    def _form(self, packed: PackedFrame) -> "_Form":
        return self._told if packed.captured else self._plain

    def _again(self, frame: SentFrame, index: int, now: float) -> bytes:
        link = self._link
        sequence = frame.first + index - frame.start
        payloads = frame.packed.payloads
        last, payload = index + 1 == len(payloads), payloads[index]
        if link.rtx_payload_type is None:
            # The very same bytes: the key would leak from two packets with one number.
            form = self._form(frame.packed)
            own = _OWN(frame.timestamp, link.ssrc) + form.extensions.stamped(frame.ntp, frame.packed.captured)
            kind = first_bytes(form.shape, link.shape.payload_type, marker=last)
            return _head(form, kind, sequence, own, frame.transport_first + index - frame.start) + payload
        original = (sequence & 0xFFFF).to_bytes(2) + payload
        head = self._head_beside(
            self._rtx, ntp_now(), len(original), now, timestamp=frame.timestamp, marker=last
        )
        return head + original

    def _head_beside(
        self,
        stream: _Beside,
        ntp: int,
        octets: int,
        now: float,
        *,
        timestamp: int | None = None,
        marker: bool = False,
        padded: bool = False,
        probe: int | None = None,
    ) -> bytes:
        """Of the next packet of `stream`, which counts as sent with so many octets behind the head."""
        form, number = stream.form, self._transport_sequence
        first, kind = first_bytes(form.shape, stream.payload_type, marker=marker)
        stamp = self.wire_timestamp if timestamp is None else timestamp
        own = _OWN(stamp, stream.ssrc) + form.extensions.stamped(ntp)
        head = _head(form, bytes((first | _PADDED if padded else first, kind)), stream.sequence, own, number)
        stream.sequence += 1
        self._ledger.sent(number, len(head) + octets + form.shape.tag_bytes, now, probe)
        self._transport_sequence += 1
        return head


def _head(form: _Form, first: bytes, sequence: int, own: bytes, number: int) -> bytes:
    """Of one packet; see layout.first_bytes and heads.OWN_FROM."""
    head = bytearray(first + (sequence & 0xFFFF).to_bytes(2) + own)
    if (at := form.number_at) is not None:
        head[at : at + 2] = (number & 0xFFFF).to_bytes(2)
    return bytes(head)
