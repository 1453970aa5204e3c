"""One WebRTC connection to a viewer: what is offered, what was agreed on, what it measures."""

import contextlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from aiortc import RTCDataChannel, RTCPeerConnection, RTCRtpTransceiver
from aiortc.exceptions import InternalError, InvalidAccessError, InvalidStateError, OperationError

from appliance.bus.messages import IceServer
from appliance.errors import InvalidInputError, UnavailableError
from appliance.signaling.anbox import Candidate, Settings
from appliance.streamer import (
    aiortc_adapter,
    aiortc_economy,
    aiortc_fec,
    aiortc_guard,
    aiortc_reports,
    aiortc_sender,
    descriptions,
)
from appliance.streamer.budget import Budget
from appliance.streamer.candidates import Candidates
from appliance.streamer.frames import VIDEO_CLOCK, Codec, EncodedFrame
from appliance.streamer.microphone import Microphone
from appliance.streamer.mux import Mux
from appliance.streamer.rtp.reception import Reception
from appliance.streamer.rtp.seat import Seat
from appliance.streamer.sources import Sources
from appliance.streamer.steering import FLOOR_KBPS
from appliance.streamer.tracks import Rendition, SoundTrack, VideoTrack
from appliance.streamer.uplink import Uplink

logger = logging.getLogger(__name__)

_KEYFRAMES_BURST, _KEYFRAME_SECONDS = 4, 1.0
_SHARED_BURST, _SHARED_SECONDS = 2, 8.0
"""In company: a keyframe costs everybody a worse picture for a while."""
_IMPATIENT_S = 2.0
_CHANNEL, _CHANNEL_ID = "fanlight", 65534
"""So that the offer has data channels. Nobody uses it, and negotiated beforehand it takes no packets."""
_NOT_AGREED = (InternalError, InvalidAccessError, InvalidStateError, OperationError, *descriptions.MALFORMED)
_SOUND = ("opus", "red")  # what aiortc sends comes first


@dataclass(frozen=True, slots=True)
class Measured:
    """What is known of the way to the viewer. None means not known."""

    pair: str = ""
    rtt_ms: float | None = None
    loss_percent: float | None = None
    jitter_ms: float | None = None
    bitrate_kbps: float | None = None
    target_kbps: int | None = None
    queue_delay_ms: float | None = None
    packets_sent: int = 0
    bytes_sent: int = 0
    """Both of the picture, since the beginning."""


class MediaConnection:
    """`changed` is called with the connection's state, `channel` with every channel that the client made.

    `on_sent` is called with every frame that the fan-out sent, and its RTP timestamp. `controls` tells if
    the encoder should heed this viewer first, and if it is heard. Without a `mux` it opens ports of its own.
    `for_many`: it is a server, and asks for its viewers.
    """

    def __init__(
        self,
        sources: Sources,
        ice_servers: Sequence[IceServer],
        *,
        changed: Callable[[str], None],
        channel: Callable[[RTCDataChannel], None],
        controls: Callable[[], bool] = lambda: True,
        on_sent: Callable[[EncodedFrame, int], None] | None = None,
        mux: Mux | None = None,
        microphone: Microphone | None = None,
        for_many: bool = False,
    ) -> None:
        self._for_many = for_many
        self._microphone = microphone
        self._sources = sources
        self._on_sent = on_sent
        sources.connections.add(self)
        self._pc: RTCPeerConnection = aiortc_adapter.new_connection(ice_servers, mux)
        self._pc.on("connectionstatechange", lambda: changed(self._pc.connectionState))
        self._pc.on("datachannel", channel)
        self._video: RTCRtpTransceiver | None = None
        self._offered: list[tuple[str, str]] = []
        self._sound: RTCRtpTransceiver | None = None
        self._candidates = Candidates(self._pc)
        self._keyframes = Budget(_KEYFRAMES_BURST, _KEYFRAME_SECONDS)
        self._shared_keyframes = Budget(_SHARED_BURST, _SHARED_SECONDS)
        self._sent = (0, time.monotonic())
        self._excused: float | None = None
        self._controls = controls
        self._heeded = contextlib.ExitStack()
        self.reception = Reception(sources.kbps * 1000, FLOOR_KBPS * 1000, controls=controls)
        self.track: VideoTrack | None = None
        self.feedback = aiortc_adapter.RtcpCounters()
        self.codec: Codec | None = None
        self.uplink: Uplink | None = None
        """What it sends; None where nothing was agreed on."""
        self.speaks = False
        """Whether it was agreed on that it sends the sound of a microphone, and there is one here."""

    @property
    def connected(self) -> bool:
        """Whether media can flow."""
        return bool(self._pc.connectionState == "connected")

    @property
    def problem(self) -> str:
        """Why the rendition that was agreed on has no picture; empty where it has one, or none was yet."""
        return self._rendition().problem if self.codec else ""

    async def offer(self, settings: Settings, *, channel: bool = True) -> str:
        """Our offer in SDP: the picture, the sound, and a data channel."""
        codecs = _ordered(self._sources.renditions, settings.preferred_codecs)
        if settings.enable_video:
            if not self._sources.renditions[codecs[0]].info:
                with self._sources.renditions[codecs[0]].subscribe():
                    pass  # the source starts up while we negotiate
            direction = "sendrecv" if settings.enable_camera else "sendonly"
            track = self._new_track()
            self._send_video(self._pc.addTransceiver(track, direction=direction), track)
        if settings.enable_speaker:
            direction = "sendrecv" if settings.enable_microphone else "sendonly"
            self._sound = self._pc.addTransceiver(self._new_sound(), direction=direction)
            self._sound.setCodecPreferences(aiortc_adapter.capabilities("audio", _SOUND))
            aiortc_adapter.own_stream(self._sound)
        if channel:
            self._pc.createDataChannel(_CHANNEL, negotiated=True, id=_CHANNEL_ID)
        if self._video:
            repair = {aiortc_fec.FLEXFEC}.intersection(settings.preferred_codecs)
            self._video.setCodecPreferences(aiortc_adapter.capabilities("video", [*codecs, *repair]))
        await self._pc.setLocalDescription(await self._pc.createOffer())
        if self._video:
            self._video.setCodecPreferences([])  # from here on the order of the answer decides
        sdp = str(self._pc.localDescription.sdp)
        self._offered = descriptions.names(sdp)
        return sdp

    async def take_answer(self, sdp: str) -> list[Candidate]:
        """Start to connect; returns the candidates whose names must be resolved first.

        Raises InvalidInputError where it is no answer to our offer.
        """
        if self._pc.signalingState != "have-local-offer":
            raise InvalidInputError("answer: there is no offer to answer")
        sdp, unresolved = descriptions.split_mdns(sdp)
        answered = self._candidates.read(sdp)
        if [descriptions.name(media) for media in answered.media] != self._offered:
            raise InvalidInputError("answer: its media are not those of the offer")
        for media in answered.media:
            if not media.port:
                raise InvalidInputError(f"answer: rejects {media.kind}: no codec in common")
        try:
            await self._pc.setRemoteDescription(aiortc_economy.described(sdp, answered, "answer"))
        except _NOT_AGREED as exc:
            raise InvalidInputError(f"answer: {exc or type(exc).__name__}") from exc
        self._agreed()
        return unresolved

    async def answer(self, sdp: str, settings: Settings) -> tuple[str, list[Candidate]]:
        """Our answer to a version 1 client, and the candidates whose names must be resolved first."""
        sdp, unresolved = descriptions.split_mdns(descriptions.as_offered(sdp))
        offered = self._candidates.read(sdp)
        codecs = _ordered(self._sources.renditions, settings.preferred_codecs)
        try:
            await self._pc.setRemoteDescription(aiortc_economy.described(sdp, offered, "offer"))
            for transceiver in self._pc.getTransceivers():
                if transceiver.kind == "video" and settings.enable_video and not self._video:
                    aiortc_adapter.restrict_codecs(transceiver, codecs)
                    track = self._new_track()
                    transceiver.sender.replaceTrack(track)
                    transceiver.direction = "sendrecv"
                    self._send_video(transceiver, track)
                elif transceiver.kind == "audio" and settings.enable_speaker and not self._sound:
                    aiortc_adapter.restrict_codecs(transceiver, _SOUND)
                    transceiver.sender.replaceTrack(self._new_sound())
                    transceiver.direction = "sendrecv"
                    self._sound = transceiver
                aiortc_adapter.own_stream(transceiver)
            await self._pc.setLocalDescription(await self._pc.createAnswer())
        except _NOT_AGREED as exc:
            raise InvalidInputError(f"offer: {exc or type(exc).__name__}") from exc
        self._agreed()
        return str(self._pc.localDescription.sdp), unresolved

    async def add_candidate(self, candidate: Candidate) -> None:
        """Try one more way to the viewer; takes a second where a `.local` name does not resolve."""
        await self._candidates.add(candidate)

    def request_keyframe(self) -> None:
        """Ask for a keyframe in the rendition that this viewer sees; all pay for it, so not at will."""
        alone = len(self._sources.connections) == 1 and not self._sources.in_company
        often = self._for_many or alone or self._yields() or self._works_blind()
        if self.codec and (self._keyframes if often else self._shared_keyframes).spend():
            if self._seat:
                self._seat.queue.ask()
            else:
                self._sources.renditions[self.codec].request_keyframe()

    def _picture_missed(self) -> None:
        """PLI or FIR. Browsers send one also after 3 s without a frame, to which a keyframe is no answer."""
        rested = self.track.rested_since if self.track else None
        if rested is None or rested == self._excused or time.monotonic() - rested < _IMPATIENT_S:
            self.request_keyframe()
            return
        self._excused = rested
        if self.codec and not self.reception.estimator.all_arrived:
            self._sources.renditions[self.codec].refresh()  # what is missing is noticed with the next frame

    def measure(self) -> Measured:
        """What RTCP tells; the bitrate is that since the last call."""
        if not self.connected:
            return Measured()
        pair = aiortc_adapter.pair_type(self._pc)
        if not self._video:
            return Measured(pair)
        (before, then), now = self._sent, time.monotonic()
        packets, octets = aiortc_sender.sent(self._video.sender)
        self._sent = octets, now
        kbps = (octets - before) * 8e-3 / max(now - then, 1e-3)
        heard = aiortc_reports.reports_of(self._video.sender)
        rtt = None if heard.rtt_s is None else heard.rtt_s * 1e3
        loss = None if heard.loss is None else heard.loss * 100
        jitter = None if heard.jitter is None else heard.jitter * 1e3 / VIDEO_CLOCK
        target = self.reception.target_bps
        queue = None if target is None else self.reception.estimator.queue_delay_s * 1e3
        return Measured(pair, rtt, loss, jitter, kbps, target and target // 1000, queue, packets, octets)

    async def close(self) -> None:
        """End it; the viewer is told."""
        self._heeded.close()
        self._sources.connections.discard(self)
        await self._pc.close()
        for sender in self._pc.getSenders():
            if sender.track:
                sender.track.stop()

    def _new_track(self) -> VideoTrack:
        self.track = VideoTrack(self._rendition, self._place, self._on_sent, self._repeat_last)
        return self.track

    async def _repeat_last(self) -> None:
        if self._video:
            await aiortc_sender.repeat_last(self._video.sender)

    def _new_sound(self) -> SoundTrack:
        return SoundTrack(
            self._sources.sound, lambda: self._sources.place_sound(self._sound) if self._sound else None
        )

    def _send_video(self, transceiver: RTCRtpTransceiver, track: VideoTrack) -> None:
        self._video = transceiver
        aiortc_adapter.own_stream(transceiver)
        self.feedback = aiortc_adapter.hook_feedback(
            transceiver.sender,
            self._picture_missed,
            track.retransmit,
            self.reception.transport_feedback,
            self.reception.remb,
            self.reception.report,
        )

    def _place(self) -> contextlib.AbstractContextManager[Seat] | None:
        if not self.codec or not self._video:
            return None
        return self._sources.place(self.codec, self._video, self.reception)

    @property
    def _seat(self) -> Seat | None:
        return self.track.seat if self.track else None

    def _yields(self) -> bool:
        """Whether this viewer gets another rendition before the others pay for its keyframes."""
        if self._seat is None or self.reception.controls() or self.codec not in self._sources.seconds:
            return False
        info = self._rendition().info
        return info is not None and info.scalable

    def _works_blind(self) -> bool:
        """Whether this viewer controls, and misses packets of what it does."""
        return self.reception.controls() and self.reception.estimator.loss > 0

    def _rendition(self) -> Rendition:
        if self.codec is None:
            raise InvalidStateError("no codec was agreed on")
        return self._sources.renditions[self.codec]

    def _agreed(self) -> None:
        self._take_up()
        aiortc_guard.guard(self._pc, self.uplink.take if self.uplink else None)
        if self._video:
            self.codec = Codec(aiortc_adapter.negotiated_codec(self._video).upper())
            steering = self._sources.steering(self.codec)
            self._heeded.enter_context(steering.heed(self.reception))
            self.reception.changed = steering.heard
            if not self._sources.renditions[self.codec].current:
                self.request_keyframe()  # it is encoded while ICE and DTLS are at work

    def _take_up(self) -> None:
        """Have what it may send go somewhere."""
        opus = aiortc_adapter.payload_types(self._sound, "opus")
        video = aiortc_adapter.payload_types(self._video)
        speaker = None
        if opus and self._microphone:
            self.speaks = True
            speaker = self._heeded.enter_context(self._microphone.speaking(self._controls))
        if opus or video:
            self.uplink = Uplink(speaker, opus=opus, video=video, may=self._controls)


def _ordered(available: Mapping[Codec, Rendition], preferred: Sequence[str]) -> list[Codec]:
    """All of `available`, those that the client prefers first. Raises UnavailableError without any."""
    if not available:
        raise UnavailableError("there is no picture yet")
    return sorted(
        available, key=lambda codec: preferred.index(codec) if codec in preferred else len(preferred)
    )
