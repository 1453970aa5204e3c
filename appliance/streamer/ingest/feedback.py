"""What a receiver tells the sender of its media: reports, losses, what it would like. RFC 3550, RFC 4585."""

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aiortc.rtcrtpreceiver import StreamStatistics
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_PSFB_PLI,
    RTCP_RTPFB_NACK,
    RtcpPsfbPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpRtpfbPacket,
    RtcpSrPacket,
    RtpPacket,
    pack_remb_fci,
)

_SOURCES_MAX = 4
_MOST = 0xFFFFFFFF


@dataclass(slots=True)
class _Source:
    statistics: StreamStatistics
    report: int = 0
    """The middle of the NTP time in its last report, which came at `heard_at`."""
    heard_at: float = 0.0


class Feedback:
    """Counts what comes, and writes RTCP for `send`."""

    def __init__(self, send: Callable[[bytes], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._send = send
        self._clock = clock
        self._ssrc = secrets.randbits(32)
        self._sources: dict[int, _Source] = {}
        self.nacks = self.plis = 0

    def count(self, packet: RtpPacket, rate: int) -> None:
        """A packet came; `rate` is that of its clock."""
        if packet.ssrc not in self._sources:
            if len(self._sources) >= _SOURCES_MAX:
                del self._sources[next(iter(self._sources))]
            self._sources[packet.ssrc] = _Source(StreamStatistics(rate))
        self._sources[packet.ssrc].statistics.add(packet)

    def heard(self, report: RtcpSrPacket) -> None:
        """A report of the sender came."""
        if source := self._sources.get(report.ssrc):
            source.report = report.sender_info.ntp_timestamp >> 16 & _MOST
            source.heard_at = self._clock()

    def report(self, kbps: int) -> None:
        """Once a second: what came of each source, and that `kbps` for all of them would be welcome."""
        if not self._sources:
            return
        reports = [self._of(ssrc, source) for ssrc, source in self._sources.items()]
        limit = RtcpPsfbPacket(
            fmt=RTCP_PSFB_APP,
            ssrc=self._ssrc,
            media_ssrc=0,
            fci=pack_remb_fci(kbps * 1000, list(self._sources)),
        )
        self._send(bytes(RtcpRrPacket(ssrc=self._ssrc, reports=reports)) + bytes(limit))

    def miss(self, media: int, lost: Sequence[int]) -> None:
        """Packets of source `media` did not come: send them again."""
        self.nacks += 1
        self._send(bytes(RtcpRtpfbPacket(RTCP_RTPFB_NACK, self._ssrc, media, lost=sorted(lost))))

    def ask_for_keyframe(self, media: int) -> None:
        """Nothing can be shown of source `media` before one."""
        self.plis += 1
        self._send(bytes(RtcpPsfbPacket(RTCP_PSFB_PLI, self._ssrc, media)))

    def _of(self, ssrc: int, source: _Source) -> RtcpReceiverInfo:
        statistics = source.statistics
        since = int((self._clock() - source.heard_at) * 65536) if source.report else 0
        return RtcpReceiverInfo(
            ssrc=ssrc,
            fraction_lost=statistics.fraction_lost,
            packets_lost=statistics.packets_lost,
            highest_sequence=(statistics.cycles + (statistics.max_seq or 0)) & _MOST,
            jitter=min(statistics.jitter, _MOST),
            lsr=source.report,
            dlsr=min(since, _MOST),
        )
