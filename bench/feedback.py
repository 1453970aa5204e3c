"""Deaf receivers that give feedback all the same: `python -m bench.feedback`.

As appliance/bench/receivers.py, but the kernel lets the last packet of each frame through, padding, and one
packet in sixteen. Its transport-wide number says how many came since the last one, and they are reported as
received (draft-holmer-rmcat-transport-wide-cc-extensions-01): those of a frame at even distances, those that
begin one together with the first of them that is seen. It is what a sender with congestion control hears on a
link that is wide enough, at little cost.
"""

import asyncio
import functools
import itertools
import struct
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from aiortc.codecs import CODECS, HEADER_EXTENSIONS, is_rtx
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcrtpparameters import RTCRtcpFeedback, RTCRtpHeaderExtensionParameters

from appliance.bench.receivers import receive, thin

URI = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
_ID = 4
_EVERY = 16
_INTERVAL_S = 0.05
_RTPFB, _FORMAT = 205, 15
_REFERENCE_TICKS, _TICK_S = 256, 0.000250
_SMALL_MOST = 255
_MOST = 2000  # packets between two that are seen
_MARKED, _PADDED = 0x80, 0x20


class Seen(NamedTuple):
    """A packet that came through."""

    number: int
    """The transport-wide one, not wrapped."""
    at: float
    """Seconds."""
    ends: bool = False
    """Whether what follows was sent later: after the last of a frame, and after padding."""


class Reporter:
    """What one transport tells its sender. Times in seconds."""

    def __init__(self) -> None:
        self._number = 0
        self._seen: list[Seen] = []

    def arrived(self, sequence: int, ssrc: int, now: float, *, ends: bool = False) -> bytes:
        """Note a packet, see Seen; the message about all up to this one, where it is time for one."""
        newest = self._seen[-1].number if self._seen else sequence - 1
        ahead = (sequence - newest) & 0xFFFF
        if not 0 < ahead <= _MOST:
            return b""
        self._seen.append(Seen(newest + ahead, now, ends))
        if now - self._seen[0].at < _INTERVAL_S:
            return b""
        message = report(self._number, self._seen, ssrc)
        self._number = (self._number + 1) & 0xFF
        del self._seen[:-1]
        return message


def report(number: int, seen: Sequence[Seen], ssrc: int) -> bytes:
    """RTCP that says: everything after the first of `seen` has come, see the module."""
    times = [seen[0].at]
    for before, after in itertools.pairwise(seen):
        count = after.number - before.number
        began = after.at if before.ends else before.at
        times += [began + (after.at - began) * (index + 1) / count for index in range(count)]
    ticks = [int(at / _TICK_S) for at in times[1:]]
    reference = ticks[0] // _REFERENCE_TICKS  # just before the first that is told of, as in Chromium
    begin = reference * _REFERENCE_TICKS
    deltas = [after - before for before, after in itertools.pairwise((begin, *ticks))]
    small = max(deltas) <= _SMALL_MOST
    packed = bytes(deltas) if small else struct.pack(f"!{len(deltas)}h", *deltas)
    chunk = (1 if small else 2) << 13 | len(deltas)
    head = struct.pack(
        "!HHIH", (seen[0].number + 1) & 0xFFFF, len(deltas), (reference & 0xFFFFFF) << 8 | number, chunk
    )
    body = struct.pack("!II", 1, ssrc) + head + packed
    body += bytes(-len(body) % 4)
    return struct.pack("!BBH", 0x80 | _FORMAT, _RTPFB, len(body) // 4) + body


def transport_sequence(packet: bytes) -> int | None:
    """Of an RTP packet: the only element of two bytes among its one-byte header extensions (RFC 8285)."""
    if not packet[0] & 0x10:
        return None
    start = 12 + 4 * (packet[0] & 0x0F)
    profile, words = struct.unpack_from("!HH", packet, start)
    position, end = start + 4, start + 4 + 4 * words
    while profile == 0xBEDE and position < end:
        kind, size = packet[position] >> 4, (packet[position] & 0x0F) + 1
        if kind and size == 2:
            return int.from_bytes(packet[position + 1 : position + 3])
        position += 1 + (size if kind else 0)
    return None


def install(*, deaf: bool = True) -> None:
    """Agree on transport-wide feedback, and give it, in this process; who is deaf takes in nothing else."""
    HEADER_EXTENSIONS["video"].append(RTCRtpHeaderExtensionParameters(_ID, URI))
    for codec in CODECS["video"]:
        if not is_rtx(codec):
            codec.rtcpFeedback.append(RTCRtcpFeedback("transport-cc"))
    reporters: dict[int, Reporter] = {}
    take_in = RTCDtlsTransport._handle_rtp_data

    async def handle(self: Any, data: bytes, arrival_time_ms: int) -> None:
        if (sequence := transport_sequence(data)) is not None:
            reporter = reporters.setdefault(id(self), Reporter())
            ends = bool(data[0] & _PADDED or data[1] & _MARKED)
            ssrc = int.from_bytes(data[8:12])
            if message := reporter.arrived(sequence, ssrc, time.monotonic(), ends=ends):
                await self._send_rtp(message)
        if not deaf:
            await take_in(self, data, arrival_time_ms)

    RTCDtlsTransport._handle_rtp_data = handle  # type: ignore[method-assign]


if __name__ == "__main__":
    install()
    asyncio.run(receive(functools.partial(thin, _EVERY)))
