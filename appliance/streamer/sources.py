"""What an instance can send, and the places that its viewers have there."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from aiortc import RTCRtpTransceiver

from appliance.streamer import aiortc_sender
from appliance.streamer.frames import Codec
from appliance.streamer.rtp.fan_out import FanOut
from appliance.streamer.rtp.reception import Reception
from appliance.streamer.rtp.renditions import Pair
from appliance.streamer.rtp.seat import Seat
from appliance.streamer.rtp.sound import SoundStream
from appliance.streamer.steering import Steering
from appliance.streamer.tracks import Rendition, SoundFan


@dataclass(frozen=True, slots=True)
class Sources:
    """What can be sent: one rendition per codec, best first, and the sound."""

    renditions: Mapping[Codec, Rendition]
    sound: SoundFan
    own_packets: bool = True
    """Whether picture and sound go out as packets of ours; False leaves them to aiortc for everybody."""
    seconds: Mapping[Codec, Rendition] = field(default_factory=dict)
    """The same, smaller, for who cannot follow; made from the first, which is a First."""
    kbps: int = 8000
    """The configured bitrate, which no encoder goes above."""
    connections: set[object] = field(default_factory=set, init=False)
    """All that are open."""
    in_company: bool = False
    """Whether others, in another process, see the same frames."""
    _pairs: dict[Codec, Pair] = field(default_factory=dict, init=False)
    _fan_outs: dict[Codec, FanOut] = field(default_factory=dict, init=False)
    _steerings: dict[Codec, Steering] = field(default_factory=dict, init=False)
    _memory: aiortc_sender.SrtpMemory = field(default_factory=aiortc_sender.SrtpMemory, init=False)

    def steering(self, codec: Codec) -> Steering:
        """What steers this rendition."""
        if codec not in self._steerings:
            rendition = self.renditions[codec]
            self._steerings[codec] = Steering(lambda kbps: rendition.set_bitrate(kbps), self.kbps)
        return self._steerings[codec]

    def pair(self, codec: Codec) -> Pair | None:
        """Both renditions of it; None where there is but one."""
        if codec not in self._pairs and (second := self.seconds.get(codec)):
            self._pairs[codec] = Pair(self.renditions[codec], second, self.kbps)
        return self._pairs.get(codec)

    def place(
        self, codec: Codec, transceiver: RTCRtpTransceiver, reception: Reception
    ) -> contextlib.AbstractContextManager[Seat] | None:
        """A place at the fan-out of this rendition; None where aiortc has to send."""
        link = aiortc_sender.link(transceiver, self._memory) if self.own_packets else None
        if link is None:
            return None
        if codec not in self._fan_outs:
            self._fan_outs[codec] = FanOut(
                self.renditions[codec], codec, self.pair(codec), in_company=self.in_company
            )
        return self._fan_outs[codec].attach(link, reception)

    def place_sound(
        self, transceiver: RTCRtpTransceiver
    ) -> contextlib.AbstractContextManager[SoundStream] | None:
        """A place where the sound is sent from; None where aiortc has to send."""
        link = aiortc_sender.link(transceiver, self._memory) if self.own_packets else None
        return self.sound.attach(link) if link else None
