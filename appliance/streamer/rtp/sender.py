"""The RTP stream of one viewer: what is its own in packets that are everybody's."""

import secrets
import struct
import time
from collections.abc import Sequence
from typing import Protocol

from appliance.streamer.rtp.layout import HEADER_BYTES, PackedFrame, Shape, first_bytes
from appliance.streamer.rtp.retransmission import History, SentFrame
from appliance.streamer.rtp.sockets import Path

_NTP_EPOCH = 2_208_988_800  # seconds from 1900 to 1970


class Link(Protocol):
    """The negotiated side of a stream: keys, numbers, the way to the viewer. It outlives no connection."""

    ssrc: int
    rtx_ssrc: int
    rtx_payload_type: int | None
    shape: Shape
    extension: tuple[bytes, bytes]
    """The block of header extensions, before and after its abs-send-time of 3 bytes."""
    sends_time: bool
    """Whether there is an abs-send-time."""

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


class ViewerStream:
    """Sends shared frames to one viewer, under its own sequence numbers, clock and key."""

    def __init__(self, link: Link) -> None:
        self.history = History()
        self._link = link
        # In the lower half, so that SRTP does not meet a wrap at once when the first packets are lost.
        self._sequence = secrets.randbelow(1 << 15)
        self._origin = secrets.randbits(32)
        self._rtx_sequence = secrets.randbelow(1 << 15)
        self._patch = struct.Struct(f"!HLL{link.shape.extension_bytes}s").pack_into

    def send(self, packed: PackedFrame) -> bool:
        """Send a frame; False where the network took only a part of it. Raises UnavailableError."""
        link = self._link
        path = link.path()
        layout = packed.layout(link.shape)
        ntp = ntp_now()
        extension = self._extension(ntp)
        timestamp = (self._origin + packed.timestamp) & 0xFFFFFFFF
        view = link.load(layout.template)
        sequence, ssrc, patch = self._sequence, link.ssrc, self._patch
        for offset, _ in layout.packets:
            patch(view, offset + 2, sequence & 0xFFFF, timestamp, ssrc, extension)
            sequence += 1
        link.protect(layout.packets)
        self.history.remember(SentFrame(self._sequence, packed, timestamp, extension), time.monotonic())
        self._sequence = sequence
        link.sent(len(layout.packets), packed.octets, ntp, timestamp)
        return path.send(view, layout.runs)

    def retransmit(self, sequences: Sequence[int]) -> None:
        """Answer a NACK (RFC 4585), with the format of RFC 4588 if agreed on. Raises UnavailableError."""
        path = self._link.path()
        for frame, index in self.history.lost(sequences, self._link.rtt, time.monotonic()):
            packet = self._again(frame, index)
            view = self._link.load(packet + bytes(self._link.shape.tag_bytes))
            self._link.protect([(0, len(packet))])
            if not path.send_one(view):
                return

    def close(self) -> None:
        """Let go of the connection."""
        self._link.close()

    def _again(self, frame: SentFrame, index: int) -> bytes:
        link, shape = self._link, self._link.shape
        sequence = (frame.first + index) & 0xFFFF
        payloads = frame.packed.payloads
        last, payload = index + 1 == len(payloads), payloads[index]
        packet = bytearray(HEADER_BYTES + shape.extension_bytes)
        if link.rtx_payload_type is None:
            # The very same bytes: the key would leak from two packets with one number.
            packet[:2] = first_bytes(shape, shape.payload_type, marker=last)
            self._patch(packet, 2, sequence, frame.timestamp, link.ssrc, frame.extension)
            return bytes(packet) + payload
        packet[:2] = first_bytes(shape, link.rtx_payload_type, marker=last)
        extension = self._extension(ntp_now())
        self._patch(packet, 2, self._rtx_sequence, frame.timestamp, link.rtx_ssrc, extension)
        self._rtx_sequence = (self._rtx_sequence + 1) & 0xFFFF
        return bytes(packet) + sequence.to_bytes(2) + payload

    def _extension(self, ntp: int) -> bytes:
        before, after = self._link.extension
        if not self._link.sends_time:
            return before
        return before + (ntp >> 14 & 0xFFFFFF).to_bytes(3) + after


def ntp_now() -> int:
    """64 bits, RFC 3550 section 4."""
    return int((time.time() + _NTP_EPOCH) * (1 << 32))
