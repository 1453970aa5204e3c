"""Contracts with the privates of aiortc 1.16: these fail when it moves."""

import asyncio
import queue
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import aiortc.rtcpeerconnection
import aiortc.rtcrtpreceiver
import aiortc.rtcrtpsender
import aiortc.rtcrtptransceiver
import aiortc.sdp
import pytest
from aiortc import RTCPeerConnection, RTCRtpSender, RTCRtpTransceiver
from aiortc.codecs import CODECS
from aiortc.rate import RemoteBitrateEstimator
from aiortc.rtcdtlstransport import SRTP_PROFILES
from aiortc.rtp import RtcpByePacket, RtcpSenderInfo, RtcpSrPacket

from appliance.streamer import aiortc_adapter, aiortc_economy
from appliance.streamer.aiortc_economy import _LateEstimator, _SharedCertificate
from appliance.streamer.broadcast import Broadcast
from tests.support.loopback import Loopback

pytestmark = pytest.mark.unit


OFFER = """v=0
o=- 1 1 IN IP4 0.0.0.0
s=-
t=0 0
a=group:BUNDLE 0
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=mid:0
a=sctp-port:5000
a=max-message-size:65536
a=ice-ufrag:abcd
a=ice-pwd:abcdefghijklmnopqrstuv
a=fingerprint:sha-256 00:11
a=setup:actpass
""".replace("\n", "\r\n")


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every text that aiortc reads from now on."""
    texts: list[str] = []
    group = aiortc.sdp.grouplines

    def grouplines(text: str) -> Any:
        texts.append(text)
        return group(text)

    monkeypatch.setattr(aiortc.sdp, "grouplines", grouplines)
    return texts


@pytest.fixture(autouse=True)
def installed() -> None:
    aiortc_adapter.install()


def certificate(connection: Any) -> Any:
    return connection._RTCPeerConnection__certificates[0]


def unused() -> None:
    raise NotImplementedError


async def test_all_connections_have_one_certificate_and_one_context() -> None:
    one, two = RTCPeerConnection(), RTCPeerConnection()
    assert certificate(one) is certificate(two)
    assert isinstance(certificate(one), _SharedCertificate)
    assert certificate(one)._create_ssl_context(SRTP_PROFILES) is certificate(two)._create_ssl_context([])
    assert [each.algorithm for each in certificate(one).getFingerprints()] == ["sha-256"]
    await one.close()
    await two.close()


async def test_both_ends_of_a_connection_may_share_them() -> None:
    async with Loopback(Broadcast(unused)) as loopback:
        profiles = {loopback.sender.transport._ssl.get_selected_srtp_profile()}
    assert loopback.offer.count("a=fingerprint:") == loopback.offer.count("a=fingerprint:sha-256") == 3
    assert profiles == {b"SRTP_AEAD_AES_256_GCM"}


def test_a_certificate_is_renewed_before_it_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    old = _SharedCertificate.generateCertificate()
    assert _SharedCertificate.generateCertificate() is old
    soon = datetime.now(UTC) + timedelta(hours=1)
    monkeypatch.setattr(
        _SharedCertificate, "expires", property(lambda self: soon if self is old else old_expiry)
    )
    old_expiry = datetime.now(UTC) + timedelta(days=20)
    new = _SharedCertificate.generateCertificate()
    assert new is not old
    assert _SharedCertificate.generateCertificate() is new


async def test_nothing_new_is_not_reported_and_the_round_trip_counts_from_the_last_report(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(aiortc_economy, "until_beat", lambda: 0.0)
    connection = RTCPeerConnection()
    sender: Any = connection.addTransceiver("video").sender
    written: list[bytes] = []

    async def send_rtp(data: bytes) -> None:
        written.append(data)

    sender.transport._send_rtp = send_rtp
    for packets, at in ((0, 1.0), (5, 2.0), (5, 3.0), (6, 4.0)):
        info = RtcpSenderInfo(ntp_timestamp=0, rtp_timestamp=0, packet_count=packets, octet_count=0)
        sender._RTCRtpSender__lsr_time = at
        await sender._send_rtcp([RtcpSrPacket(ssrc=1, sender_info=info)])
        assert sender._RTCRtpSender__lsr_time == {1.0: 0.0, 3.0: 2.0}.get(at, at)
    assert len(written) == 2
    await sender._send_rtcp([RtcpByePacket(sources=[1])])
    assert len(written) == 3
    assert {"_send_rtcp", "_RTCRtpSender__lsr_time"} <= set(RTCRtpSender._run_rtcp.__code__.co_names)
    await connection.close()


async def test_who_has_nothing_to_report_wakes_on_the_beat_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = RTCPeerConnection()
    sender: Any = connection.addTransceiver("video").sender
    sender._RTCRtpSender__packet_count = 1 << 32 | 5
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        sender._RTCRtpSender__packet_count += len(slept) == 3

    vars(sender)["_reported"] = (5, 0.0, 0)
    info = RtcpSenderInfo(ntp_timestamp=0, rtp_timestamp=0, packet_count=5, octet_count=0)
    with monkeypatch.context() as patch:
        patch.setattr(asyncio, "sleep", sleep)
        patch.setattr(aiortc_economy, "until_beat", lambda: 2.5)
        await sender._send_rtcp([RtcpSrPacket(ssrc=1, sender_info=info)])
    assert slept == [2.5] * 3
    assert "_RTCRtpSender__packet_count" in RTCRtpSender._run_rtcp.__code__.co_names
    await connection.close()


@pytest.mark.parametrize(
    ("counts", "reports"), [(range(1, 8), [True] * 6 + [False, True, False]), ([0] * 7, [False] * 2)]
)
async def test_after_the_first_reports_there_are_pauses(
    monkeypatch: pytest.MonkeyPatch, counts: Sequence[int], reports: list[bool]
) -> None:
    connection = RTCPeerConnection()
    sender: Any = connection.addTransceiver("video").sender
    events: list[float | bytes] = []

    async def send_rtp(data: bytes) -> None:
        events.append(data)

    async def sleep(seconds: float) -> None:
        events.append(seconds)

    sender.transport._send_rtp = send_rtp
    with monkeypatch.context() as patch:
        patch.setattr(asyncio, "sleep", sleep)
        for packets in counts:
            sender._RTCRtpSender__packet_count = packets + 1
            info = RtcpSenderInfo(ntp_timestamp=0, rtp_timestamp=0, packet_count=packets, octet_count=0)
            await sender._send_rtcp([RtcpSrPacket(ssrc=1, sender_info=info)])
    assert [isinstance(each, bytes) for each in events] == reports
    await connection.close()


@pytest.mark.parametrize(("now", "pause"), [(100.0, 1.0), (100.25, 0.75), (100.75, 1.25)])
def test_reports_of_all_streams_leave_on_full_seconds(
    monkeypatch: pytest.MonkeyPatch, now: float, pause: float
) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: now)
    dice: Any = vars(aiortc.rtcrtpsender)["random"]
    assert 0.5 + dice.random() == pause
    assert {"random", "sleep"} <= set(RTCRtpSender._run_rtcp.__code__.co_names)
    assert {0.5} <= set(RTCRtpSender._run_rtcp.__code__.co_consts)


async def test_incoming_media_is_estimated_only_once_there_is_any() -> None:
    connection = RTCPeerConnection()
    receiver: Any = connection.addTransceiver("video").receiver
    estimator = receiver._RTCRtpReceiver__remote_bitrate_estimator
    assert isinstance(estimator, _LateEstimator)
    assert estimator._estimator is None
    for now in (0, 10):
        estimator.add(abs_send_time=now << 8, arrival_time_ms=now, payload_size=100, ssrc=1)
    assert isinstance(estimator._estimator, RemoteBitrateEstimator)
    assert estimator._estimator.incoming_bitrate.rate(10) == round(8000 * 200 / 11)
    assert "RemoteBitrateEstimator" in aiortc.rtcrtpreceiver.RTCRtpReceiver.__init__.__code__.co_names
    await connection.close()


async def test_a_receiver_has_a_plain_queue() -> None:
    connection = RTCPeerConnection()
    receiver: Any = connection.addTransceiver("video").receiver
    assert isinstance(receiver._RTCRtpReceiver__decoder_queue, queue.SimpleQueue)
    assert "queue" in aiortc.rtcrtpreceiver.RTCRtpReceiver.__init__.__code__.co_names
    await connection.close()


async def test_candidates_of_a_description_are_taken_in_their_order() -> None:
    class Transport:
        def __init__(self) -> None:
            self.taken: list[Any] = []

        async def addRemoteCandidate(self, candidate: Any) -> None:
            self.taken.append(candidate)

    candidates = (
        "a=candidate:1 1 udp 5 192.0.2.1 5 typ host\r\na=candidate:2 1 udp 4 192.0.2.2 5 typ host\r\n"
    )
    media = aiortc.sdp.SessionDescription.parse(OFFER + candidates + "a=end-of-candidates\r\n").media[0]
    transport: Any = Transport()
    await vars(aiortc.rtcpeerconnection)["add_remote_candidates"](transport, media)
    assert transport.taken == [*media.ice_candidates, None]
    assert len(transport.taken) == 3
    code = RTCPeerConnection.setRemoteDescription.__code__
    assert any("add_remote_candidates" in getattr(each, "co_names", ()) for each in code.co_consts)


def test_what_there_is_is_listed_once() -> None:
    names = RTCRtpTransceiver.setCodecPreferences.__code__.co_names
    assert "get_capabilities" in names
    listed = vars(aiortc.rtcrtptransceiver)["get_capabilities"]
    assert listed("video") is listed("video")
    assert listed("video") == RTCRtpSender.getCapabilities("video")


async def test_what_was_read_or_written_is_not_read_again(parsed: list[str]) -> None:
    offer = aiortc.sdp.SessionDescription.parse(OFFER)
    connection: Any = RTCPeerConnection()
    await connection.setRemoteDescription(aiortc_economy.described(OFFER, offer, "offer"))
    await connection.setLocalDescription(await connection.createAnswer())
    assert parsed == [OFFER]
    assert connection._RTCPeerConnection__localDescription() is connection.localDescription.sdp.says
    await connection.close()


async def test_what_aiortc_wrote_says_the_same_as_its_text() -> None:
    connection: Any = aiortc_adapter.new_connection([])
    connection.addTransceiver("video").setCodecPreferences(aiortc_adapter.capabilities("video", ["H264"]))
    connection.addTransceiver("audio")
    connection.createDataChannel("x")
    await connection.setLocalDescription(await connection.createOffer())
    written = connection.localDescription.sdp
    assert str(aiortc.sdp.SessionDescription.parse(str(written))) == written == str(written.says)
    await connection.close()


def test_negotiated_codecs_are_copies() -> None:
    local = CODECS["video"]
    common = aiortc.rtcpeerconnection.find_common_codecs(local, local)
    assert common == local
    theirs = vars(aiortc.rtcpeerconnection)["find_common_codecs"].keywords["original"]  # behind aiortc_fec
    assert {"deepcopy"} <= set(theirs.__code__.co_names)
    for copied, codec in zip(common, local, strict=True):
        assert copied is not codec
        assert copied.parameters is not codec.parameters
        assert copied.rtcpFeedback is not codec.rtcpFeedback


def test_what_viewers_name_is_made_out_once() -> None:
    known = {name: vars(aiortc.sdp)[name] for name in ("parse_h264_profile_level_id", "ipaddress_to_sdp")}
    assert [each.cache_info().maxsize for each in known.values()] == [64, 64]
    compatible = aiortc.rtcpeerconnection.is_codec_compatible
    h264 = next(codec for codec in CODECS["video"] if codec.name == "H264")
    profiles = known["parse_h264_profile_level_id"]
    before = profiles.cache_info().hits
    assert compatible(h264, h264)
    assert profiles.cache_info().hits > before
