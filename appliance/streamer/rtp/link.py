"""What a viewer's stream needs of its connection, and who is told what it sent."""

from array import array
from collections.abc import Sequence
from typing import Protocol

from appliance.streamer.rtp.extensions import Extensions
from appliance.streamer.rtp.layout import Shape
from appliance.streamer.rtp.sockets import Path


class Link(Protocol):
    """The negotiated side of a stream: keys, numbers, the way to the viewer. It outlives no connection."""

    ssrc: int
    rtx_ssrc: int
    rtx_payload_type: int | None
    fec_ssrc: int
    fec_payload_type: int | None
    shape: Shape
    extensions: Extensions
    told: Extensions
    """Those of frames whose capture time is told; the same where that was not agreed on."""

    @property
    def rtt(self) -> float:
        """Round trip in seconds; 0 while it is not known."""

    def path(self) -> Path:
        """Where packets go now. Raises UnavailableError when there is no way any more."""

    def protect(self, data: bytes | bytearray, packets: Sequence[tuple[int, int]]) -> memoryview:
        """A copy of `data`, packets at these offsets with these lengths in it under SRTP.

        It is there until the next call. Raises UnavailableError.
        """

    def sent(self, packets: int, octets: int, ntp: int, timestamp: int) -> None:
        """Count what was sent, for sender reports."""

    def close(self) -> None:
        """Let go of it."""


class Ledger(Protocol):
    """Learns of every packet."""

    def sent(self, sequence: int, octets: int, now: float, probe: int | None = None) -> None:
        """It leaves now; the number, not wrapped, is on it where that was agreed on."""

    def sent_together(self, first: int, sizes: "array[int]", octets: int, now: float) -> None:
        """The same of packets of these octets, `octets` in all, whose numbers follow each other."""
