"""Where a recording is cut into files, and where it needs a keyframe."""

from collections.abc import Iterator

from appliance.streamer.frames import Codec, EncodedFrame
from appliance.streamer.rtp.packetizer import nal_units

SEGMENT_S = 600.0
_GAP_S = 60.0
"""Longer than any still screen is silent: the source was away, and the name of a file tells when it began."""
_SEEK_S = 30.0
_SHARE = 8
"""Who seeks has to decode from the keyframe before: after so long, one more may cost a ninth of the rate."""
_PARAMETERS = (7, 8)
_SLICES = (1, 5)


class Cuts:
    """Told of every frame, in order. A file begins with a keyframe, and lasts `segment_s` or little more."""

    def __init__(self, segment_s: float = SEGMENT_S) -> None:
        self._segment_ns = int(segment_s * 1e9)
        self._shape: object = None
        self._began_ns = self._key_ns = self._last_ns = 0
        self._key_weight = self._weight = 0
        self._asked = False

    def begins(self, frame: EncodedFrame, codec: Codec) -> bool:
        """Whether a file begins with `frame`."""
        gap_ns, self._last_ns = frame.captured_ns - self._last_ns, frame.captured_ns
        if not frame.keyframe:
            self._weight += len(frame.data)
            return False
        self._key_ns, self._key_weight = frame.captured_ns, len(frame.data)
        self._weight, self._asked = 0, False
        shape = shape_of(frame.data, codec)
        if shape == self._shape and gap_ns < _GAP_S * 1e9 and not self._full(frame.captured_ns):
            return False
        self._shape, self._began_ns = shape, frame.captured_ns
        return True

    def wants_keyframe(self) -> bool:
        """Whether to ask for one now; said once for each."""
        heavy = self._weight > _SHARE * self._key_weight and self._last_ns - self._key_ns >= _SEEK_S * 1e9
        wanted = not self._asked and (heavy or self._full(self._last_ns))
        self._asked |= wanted
        return wanted

    def _full(self, now_ns: int) -> bool:
        return now_ns - self._began_ns >= self._segment_ns


def shape_of(keyframe: bytes, codec: Codec) -> object:
    """What must not change within a file: size, profile..., as the keyframe itself says it."""
    return codec, keyframe[6:10] if codec is Codec.VP8 else tuple(_parameter_sets(keyframe))


def _parameter_sets(keyframe: bytes) -> Iterator[bytes]:
    """SPS and PPS, which come first (ITU-T H.264 section 7.4.1.2.3)."""
    for nal in nal_units(keyframe):
        kind = nal[0] & 0x1F
        if kind in _SLICES:
            return
        if kind in _PARAMETERS:
            yield nal
