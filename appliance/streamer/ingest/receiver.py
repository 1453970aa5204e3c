"""The picture and the sound of one sender: packets in, whole frames out, the return path beside it."""

import asyncio
import time
from collections.abc import Callable, Sequence

from aiortc.codecs import is_rtx
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtp import RtcpSrPacket, RtpPacket, unwrap_rtx

from appliance.streamer.frames import AUDIO_CLOCK, VIDEO_CLOCK, Codec
from appliance.streamer.ingest.assembly import Arrived, Assembler
from appliance.streamer.ingest.brake import Brake
from appliance.streamer.ingest.feedback import Feedback
from appliance.streamer.ingest.reorder import Reorder

_PICTURE_PATIENCE_S = 0.3
"""For a packet that was sent again: longer than a round trip, and a keyframe takes about as long."""
_SOUND_PATIENCE_S = 0.04
_LOOK_S = 0.02
_KEYFRAME_AGAIN_S = 0.5

Hear = Callable[[bytes, int], None]
"""An Opus packet with its timestamp."""


class Receiver:
    """`show` gets every picture that can be decoded, `hear` every packet of the sound, in their order.

    `video` and `audio` are what was agreed on; of `video` the first codec counts.
    """

    def __init__(
        self,
        video: Sequence[RTCRtpCodecParameters],
        audio: Sequence[RTCRtpCodecParameters],
        *,
        show: Callable[[Arrived], None],
        hear: Hear,
        send: Callable[[bytes], None],
    ) -> None:
        self.codec = Codec(video[0].name.upper())
        self.heard_at = time.monotonic()
        """When anything came last."""
        self.feedback = Feedback(send)
        self._picture_type = video[0].payloadType
        self._again_types = {
            each.payloadType
            for each in video
            if is_rtx(each) and each.parameters.get("apt") == self._picture_type
        }
        self._sound_types = {each.payloadType for each in audio if each.name.lower() == "opus"}
        self._brake = Brake()
        self._wished_kbps = 0
        self._show = show
        self._hear = hear
        self._media: int | None = None
        self._pictures = Reorder(_PICTURE_PATIENCE_S)
        self._sounds = Reorder(_SOUND_PATIENCE_S)
        self._sound_media: int | None = None
        self._assembler = Assembler(self.codec)
        self._asked_at = float("-inf")
        self._look: asyncio.TimerHandle | None = None

    def take(self, packet: RtpPacket) -> None:
        """A packet of the sender, decrypted."""
        now = self.heard_at = time.monotonic()
        self._watch_queue(packet, now)
        if packet.payload_type == self._picture_type:
            self.feedback.count(packet, VIDEO_CLOCK)
            if packet.ssrc != self._media:
                self._media, self._pictures = packet.ssrc, Reorder(_PICTURE_PATIENCE_S)
                self._assemble([None])
            self._assemble(self._pictures.put(packet, now))
        elif packet.payload_type in self._again_types and self._media and len(packet.payload) > 2:
            original = unwrap_rtx(packet, payload_type=self._picture_type or 0, ssrc=self._media)
            self._assemble(self._pictures.put(original, now))
        elif packet.payload_type in self._sound_types:
            self.feedback.count(packet, AUDIO_CLOCK)
            if packet.ssrc != self._sound_media:
                self._sound_media, self._sounds = packet.ssrc, Reorder(_SOUND_PATIENCE_S)
            self._say(self._sounds.put(packet, now))
        if not self._look:
            self._look_after(now)

    def reported(self, report: RtcpSrPacket) -> None:
        """A report of the sender."""
        self.heard_at = time.monotonic()
        self.feedback.heard(report)

    def report(self, wished_kbps: int) -> None:
        """Once a second: tell the sender what came, and how much of `wished_kbps` there is room for."""
        self._wished_kbps = wished_kbps
        allowed = self._brake.allowed_bps(wished_kbps * 1000, time.monotonic())
        self.feedback.report(allowed // 1000)

    def _watch_queue(self, packet: RtpPacket, now: float) -> None:
        sent = packet.extensions.abs_send_time
        if sent is not None and self._brake.add(sent, len(packet.payload) + packet.padding_size, now):
            self.report(self._wished_kbps)

    def request_keyframe(self) -> None:
        """Coalesced by the caller."""
        if self._media is not None:
            self._asked_at = time.monotonic()
            self.feedback.ask_for_keyframe(self._media)

    def close(self) -> None:
        """Nothing comes any more."""
        if self._look:
            self._look.cancel()

    def _look_after(self, now: float) -> None:
        """What is missing, for as long as anything is."""
        self._look = None
        if self._media is not None and (lost := self._pictures.wanted(now)):
            self.feedback.miss(self._media, lost)
        if self._assembler.waits and self._media is not None and now - self._asked_at >= _KEYFRAME_AGAIN_S:
            self.request_keyframe()
        if self._assembler.waits or not (self._pictures.complete and self._sounds.complete):
            self._look = asyncio.get_running_loop().call_later(_LOOK_S, self._look_again)

    def _look_again(self) -> None:
        now = time.monotonic()
        self._assemble(self._pictures.give_up(now))
        self._say(self._sounds.give_up(now))
        self._look_after(now)

    def _assemble(self, packets: Sequence[RtpPacket | None]) -> None:
        now_ns = time.monotonic_ns()
        for packet in packets:
            for picture in self._assembler.put(packet, now_ns):
                self._show(picture)

    def _say(self, packets: Sequence[RtpPacket | None]) -> None:
        for packet in packets:
            if packet and packet.payload:
                self._hear(packet.payload, packet.timestamp)
