"""What a viewer sends: its microphone becomes the box's, its camera is counted, for want of a place to go."""

from collections.abc import Callable, Collection

from aiortc.rtp import RtpPacket

from appliance.streamer.microphone import Speaker


class Uplink:
    """The media of one viewer, told apart by payload types. Only who `may` is heard."""

    def __init__(
        self,
        speaker: Speaker | None,
        *,
        opus: Collection[int],
        video: Collection[int],
        may: Callable[[], bool],
    ) -> None:
        self._speaker = speaker
        self._opus = opus
        self._video = video
        self._may = may
        self.microphone_packets = 0
        self.camera_frames = 0

    def take(self, packet: RtpPacket) -> None:
        """One packet, in the order in which they arrive."""
        if not self._may():
            return
        if packet.payload_type in self._opus and packet.payload:
            self.microphone_packets += 1
            if self._speaker:
                self._speaker.say(packet.payload, packet.timestamp)
        elif packet.payload_type in self._video and packet.marker:
            self.camera_frames += 1
