"""Reports of viewers on our streams, and contracts with aiortc's privates that they need."""

import asyncio
import struct
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiortc import RTCPeerConnection
from aiortc.rtp import RtcpReceiverInfo, RtcpRrPacket, RtcpSenderInfo, RtcpSrPacket

from appliance.streamer.aiortc_adapter import new_connection
from appliance.streamer.aiortc_guard import guard
from appliance.streamer.aiortc_reports import StreamReports, hear, reports_of
from appliance.streamer.broadcast import Broadcast
from tests.support.hostile import RR, SDES, rtcp
from tests.support.inlet import arrive, unprotected
from tests.support.loopback import Loopback

pytestmark = pytest.mark.unit


class Clocked:
    """What is used of aiortc's sender."""

    _ssrc = 7
    _RTCRtpSender__lsr = 0x1234
    _RTCRtpSender__lsr_time = 0.0


def unused() -> Any:
    raise NotImplementedError


def block(ssrc: int, lost: int = 0, *, jitter: int = 0, lsr: int = 0, dlsr: int = 0) -> RtcpReceiverInfo:
    return RtcpReceiverInfo(ssrc, lost, -9, 1000, jitter, lsr, dlsr)


@pytest.fixture
def sender() -> Any:
    return Clocked()


@pytest.fixture
def reports(sender: Any) -> StreamReports:
    return reports_of(sender)


def test_a_block_is_read_as_aiortc_writes_it(sender: Any, reports: StreamReports) -> None:
    heard: list[float] = []
    reports.heard = heard.append
    assert (reports.rtt_s, reports.loss, reports.jitter) == (None, None, None)
    others = [block(8, 200), block(7, 64, jitter=90), block(9, 128)]
    hear(bytes(RtcpRrPacket(ssrc=1, reports=others)), {7: sender, 8: sender})
    assert (heard, reports.loss, reports.jitter) == ([0.25], 0.25, 90)
    said = RtcpSenderInfo(1, 2, 3, 4)
    hear(bytes(RtcpSrPacket(ssrc=1, sender_info=said, reports=[block(7, 128)])), {7: sender})
    assert heard == [0.25, 0.5]


def test_the_round_trip_goes_from_our_report_to_theirs(
    sender: Any, reports: StreamReports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 3.0)
    for last, since in ((0x1233, 1 << 16), (0x1234, 0)):
        hear(bytes(RtcpRrPacket(ssrc=1, reports=[block(7, lsr=last, dlsr=since)])), {7: sender})
    assert reports.rtt_s is None
    hear(bytes(RtcpRrPacket(ssrc=1, reports=[block(7, lsr=0x1234, dlsr=5 << 15)])), {7: sender})
    assert reports.rtt_s == 0.5
    hear(bytes(RtcpRrPacket(ssrc=1, reports=[block(7, lsr=0x1234, dlsr=1 << 16)])), {7: sender})
    assert reports.rtt_s == pytest.approx(0.85 * 0.5 + 0.15 * 2)


def test_nobody_answers_before_it_was_asked(
    sender: Any, reports: StreamReports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 3.0)
    hear(bytes(RtcpRrPacket(ssrc=1, reports=[block(7, lsr=0x1234, dlsr=0xFFFFFFFF)])), {7: sender})
    assert reports.rtt_s == 0


def test_a_report_that_is_cut_is_refused(sender: Any) -> None:
    whole = bytes(RtcpRrPacket(ssrc=1, reports=[block(7), block(7)]))
    with pytest.raises(struct.error):
        hear(whole[:-4], {7: sender})


@pytest.fixture
async def clear() -> AsyncIterator[RTCPeerConnection]:
    """A connection whose transport agrees on no keys."""
    connection = new_connection([])
    connection.addTransceiver("video")
    unprotected(connection.getTransceivers()[0].receiver.transport)
    yield connection
    await connection.close()


def test_reports_in_a_compound_are_heard_and_bad_ones_alone_are_not(clear: RTCPeerConnection) -> None:
    transceiver = clear.getTransceivers()[0]
    sender: Any = transceiver.sender
    dtls: Any = transceiver.receiver.transport
    dtls._rtp_router.register_sender(sender, ssrc=sender._ssrc)
    heard: list[float] = []
    reports_of(sender).heard = heard.append
    guard(clear)
    report = bytes(RtcpRrPacket(ssrc=1, reports=[block(sender._ssrc, 64)]))
    named = rtcp(SDES, 1, struct.pack("!LBB6s", 1, 1, 6, b"viewer"))
    promised = rtcp(RR, 31, struct.pack("!L", 1))
    arrive(dtls, report + named + report, promised, report[:-4], b"\x41" + report[1:], report)
    assert heard == [0.25] * 3


async def test_what_aiortc_keeps_of_its_own_reports_gives_the_round_trip() -> None:
    async with Loopback(Broadcast(unused)) as loopback:
        sender = loopback.sender
        reported = asyncio.Event()
        send = sender._send_rtcp

        async def noted(packets: list[Any]) -> None:
            reported.set()
            await send(packets)

        sender._RTCRtpSender__packet_count, sender._RTCRtpSender__ntp_timestamp = 1, 1 << 32
        sender._send_rtcp = noted
        await reported.wait()
        answer = block(sender._ssrc, lsr=sender._RTCRtpSender__lsr, dlsr=1)
        hear(bytes(RtcpRrPacket(ssrc=1, reports=[answer])), {sender._ssrc: sender})
        rtt_s = reports_of(sender).rtt_s
        assert rtt_s is not None
        assert 0 <= rtt_s < 60
