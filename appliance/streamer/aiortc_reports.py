"""What viewers report of our streams, read where it arrives: aiortc makes statistics of every report.

Privates of aiortc's senders, each with a test.
"""

import struct
import time
from collections.abc import Callable, Mapping
from typing import Any

from aiortc import RTCRtpSender

SENDER_REPORT, RECEIVER_REPORT = 200, 201
_BLOCKS_AT = {SENDER_REPORT: 28, RECEIVER_REPORT: 8}
_BLOCK = struct.Struct("!LB3x4xLLL")
_KEPT = 0.85
"""Of the round trip that was known, when one more was measured."""


class StreamReports:
    """What the newest reception reports on one stream say (RFC 3550 section 6.4.1)."""

    def __init__(self, sender: RTCRtpSender) -> None:
        self.heard: Callable[[float], None] = lambda _: None
        """Called with the share of packets that were lost since the report before."""
        self.rtt_s: float | None = None
        self.loss: float | None = None
        self.jitter: int | None = None
        """In units of the stream's clock."""
        self._sender: Any = sender

    def take(self, ssrc: int, lost: int, jitter: int, last_report: int, since: int) -> None:
        """One block, as it came; those on retransmissions count for nothing."""
        sender = self._sender
        if ssrc != sender._ssrc:
            return
        if since and last_report == sender._RTCRtpSender__lsr:
            rtt_s = max(0.0, time.monotonic() - sender._RTCRtpSender__lsr_time - since / 65536)
            self.rtt_s = rtt_s if self.rtt_s is None else _KEPT * self.rtt_s + (1 - _KEPT) * rtt_s
        self.loss, self.jitter = lost / 256, jitter
        self.heard(self.loss)


def reports_of(sender: RTCRtpSender) -> StreamReports:
    """Those on the stream of this sender."""
    known = vars(sender)
    if "_stream_reports" not in known:
        known["_stream_reports"] = StreamReports(sender)
    found: StreamReports = known["_stream_reports"]
    return found


def hear(packet: bytes, senders: Mapping[int, RTCRtpSender]) -> None:
    """A sender's or a receiver's report, by the streams that it is on.

    Raises struct.error where it is cut.
    """
    at = _BLOCKS_AT[packet[1]]
    for number in range(packet[0] & 0x1F):
        ssrc, *rest = _BLOCK.unpack_from(packet, at + number * _BLOCK.size)
        if sender := senders.get(ssrc):
            reports_of(sender).take(ssrc, *rest)
