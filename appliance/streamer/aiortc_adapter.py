"""Privates of aiortc, each with a test that fails when it moves; of its senders: aiortc_sender.py."""

import dataclasses
import functools
import logging
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import aiortc.codecs
import aiortc.codecs.h264
import aiortc.codecs.vpx
import aiortc.rtcicetransport
import aiortc.rtcrtpsender
import aiortc.rtp
from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCDataChannel,
    RTCIceCandidate,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpSender,
    RTCRtpTransceiver,
)
from aiortc.codecs import CODECS, HEADER_EXTENSIONS, is_rtx
from aiortc.rtcrtpparameters import (
    RTCRtcpFeedback,
    RTCRtpCodecCapability,
    RTCRtpCodecParameters,
    RTCRtpHeaderExtensionParameters,
    RTCRtpParameters,
)
from aiortc.rtp import (
    AnyRtcpPacket,
    RtcpPsfbPacket,
    RtcpRtpfbPacket,
    unpack_remb_fci,
)
from aiortc.sdp import candidate_from_sdp

from appliance import reads
from appliance.bus.messages import IceServer
from appliance.errors import InvalidInputError
from appliance.streamer import (
    aioice_adapter,
    aiortc_economy,
    aiortc_fec,
    aiortc_guard,
    aiortc_reports,
    aiortc_sctp,
)
from appliance.streamer.frames import AUDIO_CLOCK
from appliance.streamer.mux import Mux
from appliance.streamer.rtp.packetizer import PAYLOAD_BYTES

logger = logging.getLogger(__name__)

PLAYOUT_DELAY = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay"
_PLAYOUT_DELAY_ID = 5
TRANSPORT_CC = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
_TRANSPORT_CC_ID = 4
CAPTURE_TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time"
_CAPTURE_TIME_ID = 6
_RED_PAYLOAD_TYPE = 63  # that of libwebrtc: aiortc takes over only dynamic ones of other peers
_HISTORY_PACKETS = 1024  # divides 65536, so that a slot means one sequence number
_ONE_BYTE, _TWO_BYTE = 0xBEDE, 0x1000  # header extension profiles, RFC 8285 section 4


class _LowDelayExtensions(aiortc.rtp.HeaderExtensionsMap):
    """Writes playout-delay (0, 0) into every packet of a stream that negotiated it."""

    def __init__(self) -> None:
        super().__init__()
        self.capture_time: int | None = None
        """The number of abs-capture-time, which the fan-out writes."""
        self._element = b""

    def configure(self, parameters: RTCRtpParameters) -> None:
        super().configure(parameters)
        for extension in parameters.headerExtensions:
            if extension.uri == PLAYOUT_DELAY and 0 < extension.id < 15:
                self._element = bytes((extension.id << 4 | 2, 0, 0, 0))
            elif extension.uri == CAPTURE_TIME and 0 < extension.id < 15:
                self.capture_time = extension.id

    def set(self, values: aiortc.rtp.HeaderExtensions) -> tuple[int, bytes]:
        profile, elements = super().set(values)
        if not self._element or profile == _TWO_BYTE:
            return profile, elements
        return _ONE_BYTE, elements + self._element


class _Servers(list[RTCIceServer]):
    """ICE servers, and the port to gather on: all that aiortc hands through to aioice's connection."""

    mux: Mux | None = None


def _connection_kwargs(
    servers: list[RTCIceServer], *, original: Callable[[list[RTCIceServer]], dict[str, Any]]
) -> dict[str, Any]:
    """What aioice's connection is made with; aiortc itself takes but the first TURN server."""
    kept = {key: value for key, value in original(servers).items() if not key.startswith("turn_")}
    urls = [(each, url) for each in servers for url in _listed(each.urls)]
    alone = [original([dataclasses.replace(each, urls=[url])]) for each, url in urls]
    relays = [each for each in alone if "turn_server" in each]
    return {**kept, "turn_servers": relays, "mux": servers.mux if isinstance(servers, _Servers) else None}


def _listed(urls: str | list[str]) -> list[str]:
    return [urls] if isinstance(urls, str) else urls


def _redundant(codecs: Iterable[RTCRtpCodecParameters]) -> RTCRtpCodecParameters:
    """Redundancy for the Opus among `codecs`, RFC 2198."""
    opus = next((codec.payloadType for codec in codecs if codec.name.lower() == "opus"), None)
    return RTCRtpCodecParameters(
        mimeType="audio/red",
        clockRate=AUDIO_CLOCK,
        channels=2,
        payloadType=_RED_PAYLOAD_TYPE,
        parameters={f"{opus}/{opus}": None},
    )


@functools.cache
def install() -> None:
    """Change what aiortc and aioice do for the whole process, once."""
    HEADER_EXTENSIONS["video"] += [
        RTCRtpHeaderExtensionParameters(_TRANSPORT_CC_ID, TRANSPORT_CC),
        RTCRtpHeaderExtensionParameters(_PLAYOUT_DELAY_ID, PLAYOUT_DELAY),
        RTCRtpHeaderExtensionParameters(_CAPTURE_TIME_ID, CAPTURE_TIME),
    ]
    for codec in CODECS["video"]:
        if not is_rtx(codec):
            codec.rtcpFeedback.append(RTCRtcpFeedback("transport-cc"))
    for codec in CODECS["audio"]:
        if codec.name == "opus":
            codec.parameters |= {"stereo": "1", "sprop-stereo": "1"}
    CODECS["audio"].append(_redundant(CODECS["audio"]))
    vars(aiortc.rtp)["HeaderExtensionsMap"] = _LowDelayExtensions
    ice = vars(aiortc.rtcicetransport)
    ice["Connection"] = aioice_adapter.Connection
    ice["connection_kwargs"] = functools.partial(_connection_kwargs, original=ice["connection_kwargs"])
    reads.install()
    aioice_adapter.install()
    aiortc_economy.install()
    aiortc_fec.install()
    aiortc_sctp.install()
    vars(aiortc.rtcrtpsender)["RTP_HISTORY_SIZE"] = _HISTORY_PACKETS
    # Round trips, by which packets are sent again, are not to jump with the wall clock.
    vars(aiortc.rtcrtpsender)["time"] = SimpleNamespace(time=time.monotonic)
    vars(aiortc.codecs.h264)["PACKET_MAX"] = PAYLOAD_BYTES
    vars(aiortc.codecs.vpx)["PACKET_MAX"] = PAYLOAD_BYTES


def new_connection(ice_servers: Iterable[IceServer], mux: Mux | None = None) -> RTCPeerConnection:
    """A peer connection on one transport, on the port of `mux` if any, with no ICE servers but these."""
    install()
    servers = _Servers(
        RTCIceServer(urls=server.urls, username=server.username or None, credential=server.password or None)
        for server in ice_servers
    )
    servers.mux = mux
    return RTCPeerConnection(RTCConfiguration(iceServers=servers, bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))


def capabilities(kind: str, names: Sequence[str]) -> list[RTCRtpCodecCapability]:
    """What setCodecPreferences takes for the codecs `names`, in their order, with retransmission."""
    return _capabilities(kind, tuple(names))


@functools.cache
def _capabilities(kind: str, names: tuple[str, ...]) -> list[RTCRtpCodecCapability]:
    install()
    known = RTCRtpSender.getCapabilities(kind).codecs
    # The last H.264 profile of aiortc is the constrained baseline that every decoder has.
    chosen = [each for name in names for each in reversed(known) if each.name.upper() == name.upper()]
    return chosen + [each for each in known if is_rtx(each)]


def own_stream(transceiver: RTCRtpTransceiver) -> None:
    """Put the sender into a stream of its own: no lip sync that would delay the picture."""
    transceiver.sender._stream_id = str(uuid.uuid4())


def restrict_codecs(transceiver: RTCRtpTransceiver, names: Sequence[str]) -> None:
    """Before an answer: keep the codecs `names`, in their order. aiortc ignores preferences there."""
    offered = transceiver._codecs
    base = [codec for name in names for codec in offered if codec.name.upper() == name.upper()]
    kept = {codec.payloadType for codec in base}
    transceiver._codecs = base + [
        codec for codec in offered if is_rtx(codec) and codec.parameters.get("apt") in kept
    ]
    for codec in base:
        if codec.name.lower() == "red":
            codec.parameters = _redundant(base).parameters
    if not base:
        raise InvalidInputError(f"sdp: none of {', '.join(names)} is offered for {transceiver.kind}")


def negotiated_codec(transceiver: RTCRtpTransceiver) -> str:
    """Name of the codec that will be sent; valid once both descriptions are set."""
    return transceiver._codecs[0].name if transceiver._codecs else ""


def payload_types(transceiver: RTCRtpTransceiver | None, name: str = "") -> set[int]:
    """Numbers of what the peer may send here: of one codec, or of all but retransmissions."""
    if transceiver is None or transceiver.currentDirection not in ("sendrecv", "recvonly"):
        return set()
    return {
        each.payloadType
        for each in transceiver._codecs
        if each.payloadType is not None and not is_rtx(each) and name in ("", each.name.lower())
    }


@dataclass(slots=True)
class RtcpCounters:
    """Feedback of one viewer on one stream."""

    nacks: int = 0
    plis: int = 0
    firs: int = 0


def hook_feedback(
    sender: RTCRtpSender,
    request_keyframe: Callable[[], None],
    retransmit: Callable[[Sequence[int]], bool],
    transport_feedback: Callable[[bytes], None],
    remb: Callable[[int], None],
    report: Callable[[float], None],
) -> RtcpCounters:
    """Count the RTCP feedback to `sender`, and route PLI and FIR to `request_keyframe`.

    NACK goes to `retransmit`; where that returns False, to aiortc. `transport_feedback` gets the body of
    transport-wide feedback, `remb` bits a second, `report` the share of lost packets.
    """
    counters = RtcpCounters()
    original = sender._handle_rtcp_packet

    async def handle(packet: AnyRtcpPacket) -> None:
        match packet:
            case RtcpRtpfbPacket(fmt=aiortc.rtp.RTCP_RTPFB_NACK):
                counters.nacks += 1
                if retransmit(packet.lost):
                    return
            case RtcpPsfbPacket(fmt=aiortc.rtp.RTCP_PSFB_PLI):
                counters.plis += 1
            case RtcpPsfbPacket(fmt=aiortc.rtp.RTCP_PSFB_FIR):
                counters.firs += 1
            case RtcpPsfbPacket(fmt=aiortc.rtp.RTCP_PSFB_APP):
                try:
                    bps = unpack_remb_fci(packet.fci)[0]
                except (ValueError, LookupError):
                    logger.debug("a viewer sent malformed REMB")
                    return
                remb(bps)
        await original(packet)

    aiortc_reports.reports_of(sender).heard = report
    vars(sender)[aiortc_guard.TRANSPORT_FEEDBACK] = transport_feedback
    vars(sender)["_handle_rtcp_packet"] = handle
    vars(sender)["_send_keyframe"] = request_keyframe
    return counters


def pair_type(connection: RTCPeerConnection) -> str:
    """`relay` if either side relays, else what the viewer's candidate is; empty before ICE completed."""
    transceivers = connection.getTransceivers()
    dtls = (
        transceivers[0].receiver.transport if transceivers else connection.sctp and connection.sctp.transport
    )
    if not dtls:
        return ""
    for pair in dtls.transport._connection._nominated.values():
        relayed = "relay" in (pair.local_candidate.type, pair.remote_candidate.type)
        return "relay" if relayed else str(pair.remote_candidate.type)
    return ""


def heard_at(channel: RTCDataChannel) -> float:
    """When anything came from the other side of the connection of `channel`, time.monotonic()."""
    connection: Any = channel.transport.transport.transport._connection
    return float(connection.heard_at)


def parse_candidate(line: str, sdp_mid: str | None, sdp_mline_index: int | None) -> RTCIceCandidate:
    """Read `candidate:...`. Raises InvalidInputError."""
    try:
        candidate = candidate_from_sdp(line.removeprefix("candidate:"))
    except (ValueError, LookupError, AssertionError):
        raise InvalidInputError(f"candidate: malformed: {line[:100]!r}") from None
    candidate.sdpMid, candidate.sdpMLineIndex = sdp_mid, sdp_mline_index
    return candidate
