"""What a receiver writes to a sender, read as the sender reads it."""

from collections.abc import Callable

import pytest
from aiortc.rtp import (
    RtcpPacket,
    RtcpPsfbPacket,
    RtcpRrPacket,
    RtcpRtpfbPacket,
    RtcpSenderInfo,
    RtcpSrPacket,
    RtpPacket,
    unpack_remb_fci,
)

from appliance.streamer.frames import VIDEO_CLOCK
from appliance.streamer.ingest.feedback import Feedback

pytestmark = pytest.mark.unit

SOURCE = 0xCAFE


def packet(number: int, timestamp: int = 0, source: int = SOURCE) -> RtpPacket:
    return RtpPacket(sequence_number=number & 0xFFFF, timestamp=timestamp, ssrc=source)


@pytest.fixture
def said() -> list[bytes]:
    return []


def feedback(said: list[bytes], clock: Callable[[], float] = lambda: 0.0) -> Feedback:
    return Feedback(said.append, clock)


def test_a_report_tells_losses_and_how_long_ago_the_sender_reported(said: list[bytes]) -> None:
    now = [5.0]
    ours = feedback(said, lambda: now[0])
    for number in (65534, 65535, 0, 2):
        ours.count(packet(number), VIDEO_CLOCK)
    ours.heard(RtcpSrPacket(SOURCE, RtcpSenderInfo(0x1234_5678_9ABC_DEF0, 0, 0, 0)))
    now[0] = 5.5
    ours.report(3000)
    report, limit = RtcpPacket.parse(said[0])
    assert isinstance(report, RtcpRrPacket)
    assert isinstance(limit, RtcpPsfbPacket)
    (about,) = report.reports
    assert (about.ssrc, about.packets_lost, about.fraction_lost) == (SOURCE, 1, 256 // 5)
    assert about.highest_sequence == 0x10002
    assert (about.lsr, about.dlsr) == (0x5678_9ABC, 65536 // 2)
    assert unpack_remb_fci(limit.fci) == (3_000_000, [SOURCE])


def test_nothing_is_reported_of_nothing(said: list[bytes]) -> None:
    feedback(said).report(3000)
    assert not said


def test_absurd_timestamps_and_many_sources_are_no_fault(said: list[bytes]) -> None:
    ours = feedback(said)
    for number in range(300):
        ours.count(packet(number, (number % 2) * 0xFFFFFFFF, source=number % 9), VIDEO_CLOCK)
    ours.report(100)
    report, _ = RtcpPacket.parse(said[0])
    assert isinstance(report, RtcpRrPacket)
    assert len(report.reports) == 4


def test_what_is_missed_and_a_keyframe_are_asked_for(said: list[bytes]) -> None:
    ours = feedback(said)
    ours.miss(SOURCE, [40, 7, 8])
    ours.ask_for_keyframe(SOURCE)
    (missed,), (wanted,) = RtcpPacket.parse(said[0]), RtcpPacket.parse(said[1])
    assert isinstance(missed, RtcpRtpfbPacket)
    assert isinstance(wanted, RtcpPsfbPacket)
    assert (missed.media_ssrc, missed.lost) == (SOURCE, [7, 8, 40])
    assert (wanted.media_ssrc, wanted.fmt) == (SOURCE, 1)
    assert (ours.nacks, ours.plis) == (1, 1)
