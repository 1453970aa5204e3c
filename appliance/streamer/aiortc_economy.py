"""What aiortc does for every connection anew and need not: a join costs the streamer half as much.

Each private has a test that fails when it moves.
"""

import asyncio
import functools
import queue
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, ClassVar

import aiortc.rtcpeerconnection
import aiortc.rtcrtpreceiver
import aiortc.rtcrtpsender
import aiortc.rtcrtptransceiver
import aiortc.sdp
from aiortc import RTCRtpSender, RTCSessionDescription
from aiortc.rate import RemoteBitrateEstimator
from aiortc.rtcdtlstransport import (
    SRTP_PROFILES,
    RTCCertificate,
    RTCDtlsFingerprint,
    SRTPProtectionProfile,
)
from aiortc.rtcicetransport import RTCIceTransport
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtp import AnyRtcpPacket, RtcpSrPacket
from aiortc.sdp import MediaDescription, SessionDescription
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL

from appliance.bus.beat import until_beat

_SEND_RTCP = RTCRtpSender._send_rtcp
_QUICK_REPORTS, _PAUSE_S = 5, 1.5
"""The first come each second, for players to learn the clocks; then there is a pause in between."""
_LEAST_PAUSE_S = 0.5  # of aiortc, and up to a second
_COUNTED = 0xFFFFFFFF  # the bits that a report has for the packets
_LEFT = timedelta(days=1)
_KNOWN = 64  # of what viewers name
_FINGERPRINT = "sha-256"  # every browser has it (RFC 8122 section 5); the others only make offers longer


class _SharedCertificate(RTCCertificate):
    """The certificate of all connections of this process, with what is derived from it made once."""

    _current: ClassVar["_SharedCertificate | None"] = None

    def __init__(self, key: ec.EllipticCurvePrivateKey, cert: x509.Certificate) -> None:
        super().__init__(key, cert)
        self._fingerprints = [each for each in super().getFingerprints() if each.algorithm == _FINGERPRINT]
        self._context = super()._create_ssl_context(SRTP_PROFILES)
        self._context.set_session_cache_mode(SSL.SESS_CACHE_OFF)  # it would keep those of all viewers

    def getFingerprints(self) -> list[RTCDtlsFingerprint]:  # noqa: N802 - aiortc names it
        return self._fingerprints

    def _create_ssl_context(self, srtp_profiles: list[SRTPProtectionProfile]) -> SSL.Context:  # noqa: ARG002
        return self._context

    @classmethod
    def generateCertificate(cls) -> "_SharedCertificate":  # noqa: N802
        """The one there is, or a new one when that expires soon."""
        current = cls._current
        if current is None or current.expires - datetime.now(UTC) < _LEFT:
            current = cls._current = super().generateCertificate()
        return current


class _LateEstimator:
    """Estimates the rate of incoming media once there is any: its memory takes longer than all the rest."""

    def __init__(self) -> None:
        self._estimator: RemoteBitrateEstimator | None = None

    def add(self, **arrival: Any) -> Any:
        self._estimator = self._estimator or RemoteBitrateEstimator()
        return self._estimator.add(**arrival)


async def _send_rtcp(self: RTCRtpSender, packets: list[AnyRtcpPacket]) -> None:
    """Without reports on nothing new, and others each 3 s: it would be two a second to each viewer."""
    if not packets or not isinstance(packets[0], RtcpSrPacket):
        await _SEND_RTCP(self, packets)
        return
    count = packets[0].sender_info.packet_count
    reported, sent_at, looks = vars(self).get("_reported", (0, 0.0, 0))
    if count == reported:
        # The round trip is counted from the report that the viewer has.
        vars(self)["_RTCRtpSender__lsr_time"] = sent_at
        vars(self)["_reported"] = (count, sent_at, looks + 1)
        nothing_new = count or looks >= _QUICK_REPORTS
        while nothing_new:  # the loop that calls this would be back within a second, at any time
            await asyncio.sleep(until_beat())
            nothing_new = vars(self)["_RTCRtpSender__packet_count"] & _COUNTED == count
        return
    vars(self)["_reported"] = (count, vars(self)["_RTCRtpSender__lsr_time"], looks + 1)
    await _SEND_RTCP(self, packets)
    if looks >= _QUICK_REPORTS:
        await asyncio.sleep(_PAUSE_S)


def _to_the_second() -> float:
    """For aiortc's dice: the reports of many streams in one turn cost less than one by one."""
    return (until_beat(1.0) - _LEAST_PAUSE_S) % 1.0


class _ReadText(str):
    """A description in SDP with what it says: whoever is given it need not read it again."""

    __slots__ = ("says",)

    says: SessionDescription

    def __new__(cls, text: str, says: SessionDescription) -> "_ReadText":
        made = super().__new__(cls, text)
        made.says = says
        return made


class _Description(SessionDescription):
    @classmethod
    def parse(cls, sdp: str) -> SessionDescription:
        return sdp.says if isinstance(sdp, _ReadText) else super().parse(sdp)


def described(text: str, says: SessionDescription, kind: str) -> RTCSessionDescription:
    """A description of this kind, `offer` or `answer`, that has been read already."""
    return RTCSessionDescription(_ReadText(text, says), kind)


def _written(description: SessionDescription | None) -> RTCSessionDescription | None:
    """What aiortc wrote it would read right away."""
    if description is None:
        return None
    return described(str(description), description, description.type or "")


def _copied(codec: RTCRtpCodecParameters) -> RTCRtpCodecParameters:
    """A copy as deep as what changes."""
    return RTCRtpCodecParameters(
        mimeType=codec.mimeType,
        clockRate=codec.clockRate,
        channels=codec.channels,
        payloadType=codec.payloadType,
        rtcpFeedback=[*codec.rtcpFeedback],
        parameters={**codec.parameters},
    )


async def _add_candidates(transport: RTCIceTransport, media: MediaDescription) -> None:
    """One after the other, since none takes any time: those that must be looked up come by themselves."""
    for candidate in media.ice_candidates:
        await transport.addRemoteCandidate(candidate)
    if media.ice_candidates_complete:
        await transport.addRemoteCandidate(None)


def install() -> None:
    """Change what aiortc does for the whole process."""
    connection, sdp = vars(aiortc.rtcpeerconnection), vars(aiortc.sdp)
    connection["wrap_session_description"] = _written
    connection["copy"] = SimpleNamespace(deepcopy=_copied)
    connection["add_remote_candidates"] = _add_candidates
    sdp["SessionDescription"] = _Description
    for name in ("parse_h264_profile_level_id", "ipaddress_to_sdp"):
        sdp[name] = functools.lru_cache(_KNOWN)(sdp[name])
    transceiver = vars(aiortc.rtcrtptransceiver)
    transceiver["get_capabilities"] = functools.cache(transceiver["get_capabilities"])
    connection["RTCCertificate"] = _SharedCertificate
    vars(aiortc.rtcrtpreceiver)["RemoteBitrateEstimator"] = _LateEstimator
    vars(aiortc.rtcrtpreceiver)["queue"] = SimpleNamespace(Queue=queue.SimpleQueue)
    vars(aiortc.rtcrtpsender)["random"] = SimpleNamespace(random=_to_the_second)
    RTCRtpSender._send_rtcp = _send_rtcp  # type: ignore[method-assign]
