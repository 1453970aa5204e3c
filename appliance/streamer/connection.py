"""One WebRTC connection to a viewer: what is offered, what was agreed on, what it measures."""

import contextlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from aiortc import RTCDataChannel, RTCPeerConnection, RTCRtpTransceiver, RTCSessionDescription
from aiortc.exceptions import InternalError, InvalidAccessError, InvalidStateError, OperationError
from aiortc.sdp import MediaDescription, SessionDescription
from aiortc.stats import RTCOutboundRtpStreamStats, RTCRemoteInboundRtpStreamStats

from appliance.bus.messages import IceServer
from appliance.errors import InvalidInputError, LimitExceededError
from appliance.signaling.anbox import Candidate, Settings
from appliance.streamer import aiortc_adapter, aiortc_sender
from appliance.streamer.budget import Budget
from appliance.streamer.frames import VIDEO_CLOCK, Codec
from appliance.streamer.mux import Mux
from appliance.streamer.rtp.fan_out import FanOut, Seat
from appliance.streamer.tracks import Rendition, SoundFan, SoundTrack, VideoTrack

logger = logging.getLogger(__name__)

_CANDIDATES_MAX = 64
_MEDIA_MAX = 8
_KEYFRAMES_BURST, _KEYFRAME_SECONDS = 4, 1.0
_CHANNEL = "fanlight"
_MALFORMED = (ValueError, LookupError, AttributeError, TypeError, AssertionError, StopIteration)
_NOT_AGREED = (InternalError, InvalidAccessError, InvalidStateError, OperationError, *_MALFORMED)


@dataclass(frozen=True, slots=True)
class Sources:
    """What can be sent: one rendition per codec, best first, and the sound."""

    renditions: Mapping[Codec, Rendition]
    sound: SoundFan
    own_packets: bool = True
    """Whether the fan-out sends the picture; False leaves it to aiortc for everybody."""
    _fan_outs: dict[Codec, FanOut] = field(default_factory=dict, init=False)
    _memory: aiortc_sender.SrtpMemory = field(default_factory=aiortc_sender.SrtpMemory, init=False)

    def place(
        self, codec: Codec, transceiver: RTCRtpTransceiver
    ) -> contextlib.AbstractContextManager[Seat] | None:
        """A place at the fan-out of this rendition; None where aiortc has to send."""
        link = aiortc_sender.link(transceiver, self._memory) if self.own_packets else None
        if link is None:
            return None
        if codec not in self._fan_outs:
            self._fan_outs[codec] = FanOut(self.renditions[codec], codec)
        return self._fan_outs[codec].attach(link)


@dataclass(frozen=True, slots=True)
class Measured:
    """What is known of the path to the viewer. None means not known."""

    pair: str = ""
    rtt_ms: float | None = None
    loss_percent: float | None = None
    jitter_ms: float | None = None
    bitrate_kbps: float | None = None
    packets_sent: int = 0
    """Of the picture, since the beginning."""


class MediaConnection:
    """`changed` is called with the connection's state, `channel` with every channel that the client made.

    Without a `mux` it opens ports of its own.
    """

    def __init__(
        self,
        sources: Sources,
        ice_servers: Sequence[IceServer],
        *,
        changed: Callable[[str], None],
        channel: Callable[[RTCDataChannel], None],
        mux: Mux | None = None,
    ) -> None:
        self._sources = sources
        self._pc: RTCPeerConnection = aiortc_adapter.new_connection(ice_servers, mux)
        self._pc.on("connectionstatechange", lambda: changed(self._pc.connectionState))
        self._pc.on("datachannel", channel)
        self._video: RTCRtpTransceiver | None = None
        self._candidates = 0
        self._keyframes = Budget(_KEYFRAMES_BURST, _KEYFRAME_SECONDS)
        self._sent = (0, time.monotonic())
        self.track: VideoTrack | None = None
        self.feedback = aiortc_adapter.RtcpCounters()
        self.codec: Codec | None = None

    @property
    def connected(self) -> bool:
        """Whether media can flow."""
        return bool(self._pc.connectionState == "connected")

    async def offer(self, settings: Settings) -> str:
        """Our offer in SDP: the picture, the sound, the data channels."""
        codecs = _ordered(self._sources.renditions, settings.preferred_codecs)
        if settings.enable_video:
            with self._sources.renditions[codecs[0]].subscribe():
                pass  # the source starts up while we negotiate
            direction = "sendrecv" if settings.enable_camera else "sendonly"
            track = self._new_track()
            self._send_video(self._pc.addTransceiver(track, direction=direction), track)
        if settings.enable_speaker:
            direction = "sendrecv" if settings.enable_microphone else "sendonly"
            transceiver = self._pc.addTransceiver(SoundTrack(self._sources.sound), direction=direction)
            transceiver.setCodecPreferences(aiortc_adapter.capabilities("audio", ["opus"]))
            aiortc_adapter.own_stream(transceiver)
        self._pc.createDataChannel(_CHANNEL)
        if self._video:
            self._video.setCodecPreferences(aiortc_adapter.capabilities("video", codecs))
        await self._pc.setLocalDescription(await self._pc.createOffer())
        if self._video:
            self._video.setCodecPreferences([])  # from here on the order of the answer decides
        return str(self._pc.localDescription.sdp)

    async def take_answer(self, sdp: str) -> list[Candidate]:
        """Start to connect; returns the candidates whose names must be resolved first.

        Raises InvalidInputError where it is no answer to our offer.
        """
        if self._pc.signalingState != "have-local-offer":
            raise InvalidInputError("answer: there is no offer to answer")
        sdp, unresolved = split_mdns(sdp)
        answered = self._parse(sdp)
        offered = SessionDescription.parse(self._pc.localDescription.sdp)
        if [_name(media) for media in answered.media] != [_name(media) for media in offered.media]:
            raise InvalidInputError("answer: its media are not those of the offer")
        for media in answered.media:
            if not media.port:
                raise InvalidInputError(f"answer: rejects {media.kind}: no codec in common")
        try:
            await self._pc.setRemoteDescription(RTCSessionDescription(sdp, "answer"))
        except _NOT_AGREED as exc:
            raise InvalidInputError(f"answer: {exc or type(exc).__name__}") from exc
        self._agreed()
        return unresolved

    async def answer(self, sdp: str, settings: Settings) -> tuple[str, list[Candidate]]:
        """Our answer to a version 1 client, and the candidates whose names must be resolved first."""
        sdp, unresolved = split_mdns(sdp)
        self._parse(sdp)
        codecs = _ordered(self._sources.renditions, settings.preferred_codecs)
        try:
            await self._pc.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
            for transceiver in self._pc.getTransceivers():
                if transceiver.kind == "video" and settings.enable_video and not self._video:
                    aiortc_adapter.restrict_codecs(transceiver, codecs)
                    track = self._new_track()
                    transceiver.sender.replaceTrack(track)
                    transceiver.direction = "sendrecv"
                    self._send_video(transceiver, track)
                elif transceiver.kind == "audio" and settings.enable_speaker:
                    aiortc_adapter.restrict_codecs(transceiver, ["opus"])
                    transceiver.sender.replaceTrack(SoundTrack(self._sources.sound))
                    transceiver.direction = "sendrecv"
                aiortc_adapter.own_stream(transceiver)
            await self._pc.setLocalDescription(await self._pc.createAnswer())
        except _NOT_AGREED as exc:
            raise InvalidInputError(f"offer: {exc or type(exc).__name__}") from exc
        self._agreed()
        return str(self._pc.localDescription.sdp), unresolved

    async def add_candidate(self, candidate: Candidate) -> None:
        """Try one more way to the viewer; takes a second where a `.local` name does not resolve."""
        self._candidates += 1
        if self._candidates > _CANDIDATES_MAX:
            raise LimitExceededError(f"candidate: more than {_CANDIDATES_MAX}")
        if not candidate.candidate.removeprefix("candidate:").strip():
            return
        parsed = aiortc_adapter.parse_candidate(
            candidate.candidate, candidate.sdp_mid, candidate.sdp_mline_index
        )
        try:
            await self._pc.addIceCandidate(parsed)
        except (OSError, ValueError) as exc:
            logger.debug("a candidate is of no use: %s", exc)

    def request_keyframe(self) -> None:
        """Ask for a keyframe in the rendition that this viewer sees; all pay for it, so not at will."""
        if self.codec and self._keyframes.spend():
            self._sources.renditions[self.codec].request_keyframe()

    async def measure(self) -> Measured:
        """What RTCP tells; the bitrate is that since the last call."""
        if not self.connected:
            return Measured()
        pair = aiortc_adapter.pair_type(self._pc)
        if not self._video:
            return Measured(pair)
        report = await self._video.sender.getStats()
        kbps, rtt, loss, jitter = None, None, None, None
        packets = 0
        for each in report.values():
            if isinstance(each, RTCOutboundRtpStreamStats):
                (sent, then), self._sent = self._sent, (each.bytesSent, time.monotonic())
                packets = each.packetsSent
                kbps = (each.bytesSent - sent) * 8e-3 / max(self._sent[1] - then, 1e-3)
            elif isinstance(each, RTCRemoteInboundRtpStreamStats):
                rtt = None if each.roundTripTime is None else each.roundTripTime * 1e3
                loss = each.fractionLost / 2.56
                jitter = each.jitter * 1e3 / VIDEO_CLOCK
        return Measured(pair, rtt, loss, jitter, kbps, packets)

    async def close(self) -> None:
        """End it; the viewer is told."""
        await self._pc.close()
        for sender in self._pc.getSenders():
            if sender.track:
                sender.track.stop()

    def _new_track(self) -> VideoTrack:
        self.track = VideoTrack(self._rendition, self._place)
        return self.track

    def _send_video(self, transceiver: RTCRtpTransceiver, track: VideoTrack) -> None:
        self._video = transceiver
        aiortc_adapter.own_stream(transceiver)
        self.feedback = aiortc_adapter.hook_feedback(
            transceiver.sender, self.request_keyframe, track.retransmit
        )

    def _place(self) -> contextlib.AbstractContextManager[Seat] | None:
        return self._sources.place(self.codec, self._video) if self.codec and self._video else None

    def _rendition(self) -> Rendition:
        if self.codec is None:
            raise InvalidStateError("no codec was agreed on")
        return self._sources.renditions[self.codec]

    def _agreed(self) -> None:
        aiortc_adapter.discard_incoming(self._pc)
        if self._video:
            self.codec = Codec(aiortc_adapter.negotiated_codec(self._video).upper())

    def _parse(self, sdp: str) -> SessionDescription:
        try:
            parsed = SessionDescription.parse(sdp)
        except _MALFORMED as exc:
            raise InvalidInputError(f"sdp: malformed: {str(exc)[:100] or type(exc).__name__}") from exc
        if not 0 < len(parsed.media) <= _MEDIA_MAX:
            raise InvalidInputError(f"sdp: must have 1 to {_MEDIA_MAX} media")
        if not all(media.dtls and media.dtls.fingerprints for media in parsed.media if media.port):
            raise InvalidInputError("sdp: no DTLS fingerprint")
        mids = [media.rtp.muxId for media in parsed.media]
        if not all(mids) or len(mids) != len(set(mids)):
            raise InvalidInputError("sdp: every media needs a mid of its own")
        accepted = [media.rtp.muxId for media in parsed.media if media.port]
        for group in parsed.group:
            # aiortc would stop a transport that is in use.
            if group.semantic == "BUNDLE" and group.items and group.items != accepted:
                raise InvalidInputError("sdp: BUNDLE must have all media, in their order")
        self._candidates += sum(len(media.ice_candidates) for media in parsed.media)
        if self._candidates > _CANDIDATES_MAX:
            raise LimitExceededError(f"sdp: more than {_CANDIDATES_MAX} candidates")
        return parsed


def split_mdns(sdp: str) -> tuple[str, list[Candidate]]:
    """`sdp` without candidates with `.local` names, and those: resolving them must not hold up the rest."""
    kept: list[str] = []
    split: list[Candidate] = []
    index = -1
    for line in sdp.splitlines():
        index += line.startswith("m=")
        fields = line.split()
        if line.startswith("a=candidate:") and len(fields) > 4 and fields[4].endswith(".local"):
            split.append(Candidate(line.removeprefix("a="), None, index))
        else:
            kept.append(line)
    if split:
        kept = [line for line in kept if line != "a=end-of-candidates"]
    return "\r\n".join((*kept, "")), split


def _name(media: MediaDescription) -> tuple[str, str]:
    return (media.kind, media.rtp.muxId)


def _ordered(available: Mapping[Codec, Rendition], preferred: Sequence[str]) -> list[Codec]:
    """All of `available`, those that the client prefers first."""
    return sorted(
        available, key=lambda codec: preferred.index(codec) if codec in preferred else len(preferred)
    )
