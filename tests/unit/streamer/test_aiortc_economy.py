"""Contracts with the privates of aiortc 1.16: these fail when it moves."""

from datetime import UTC, datetime, timedelta
from typing import Any

import aiortc.rtcrtpreceiver
import pytest
from aiortc import RTCPeerConnection, RTCRtpSender
from aiortc.rate import RemoteBitrateEstimator
from aiortc.rtcdtlstransport import SRTP_PROFILES
from aiortc.rtp import RtcpByePacket, RtcpSenderInfo, RtcpSrPacket

from appliance.streamer import aiortc_adapter
from appliance.streamer.aiortc_economy import _LateEstimator, _SharedCertificate
from appliance.streamer.broadcast import Broadcast
from tests.support.loopback import Loopback

pytestmark = pytest.mark.unit


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


async def test_nothing_new_is_not_reported_and_the_round_trip_counts_from_the_last_report() -> None:
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
