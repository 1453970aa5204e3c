"""What an encoded picture says of itself: whether it is a keyframe, and its size in pixels."""

from dataclasses import dataclass

from appliance.streamer.frames import Codec

START = b"\0\0\0\1"
"""In front of every NAL unit, as aiortc's depayloader writes it."""
_IDR, _SPS, _PPS = 5, 7, 8
_SLICES = range(1, 6)
_HIGH_PROFILES = frozenset((100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135))
_VP8_START = b"\x9d\x01\x2a"
_MOST_ZEROS = 31


@dataclass(frozen=True, slots=True)
class Picture:
    """One frame; `size` is width and height, None where it does not say."""

    data: bytes
    keyframe: bool
    size: tuple[int, int] | None = None


class Reader:
    """Reads the frames of one stream.

    A keyframe of H.264 without its parameter sets is given those before: encoders may send them just once.
    """

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._parameters: dict[int, bytes] = {}

    def read(self, frame: bytes) -> Picture | None:
        """None where it holds parameter sets alone. Raises ValueError where nobody could decode it."""
        return self._read_h264(frame) if self._codec is Codec.H264 else _read_vp8(frame)

    def _read_h264(self, frame: bytes) -> Picture | None:
        head, *units = frame.split(START)
        if head or not all(units):
            raise ValueError("not a sequence of NAL units")
        own = {_kind(unit): unit for unit in units if _kind(unit) in (_SPS, _PPS)}
        self._parameters |= own
        slices = [unit for unit in units if _kind(unit) in _SLICES]
        if not slices:
            return None
        if not slices[0][1:2] >= b"\x80":  # first_mb_in_slice is 0, as Exp-Golomb writes it
            raise ValueError("the first slice is missing")
        if not any(_kind(unit) == _IDR for unit in slices):
            return Picture(frame, keyframe=False)
        if (sps := self._parameters.get(_SPS)) is None or _PPS not in self._parameters:
            raise ValueError("a keyframe without parameter sets")
        missing = [unit for kind, unit in sorted(self._parameters.items()) if kind not in own]
        data = b"".join(START + unit for unit in missing) + frame
        return Picture(data, keyframe=True, size=h264_size(sps))


def _kind(unit: bytes) -> int:
    return unit[0] & 0x1F


def _read_vp8(frame: bytes) -> Picture:
    """RFC 6386 section 9.1."""
    if len(frame) < 3:
        raise ValueError("too short for VP8")
    if frame[0] & 1:
        return Picture(frame, keyframe=False)
    if frame[3:6] != _VP8_START or len(frame) < 10:
        raise ValueError("a keyframe of VP8 without its start code")
    width, height = (int.from_bytes(frame[at : at + 2], "little") & 0x3FFF for at in (6, 8))
    return Picture(frame, keyframe=True, size=(width, height))


def h264_size(sps: bytes) -> tuple[int, int]:
    """Width and height in a sequence parameter set, ITU-T H.264 7.3.2.1.1. Raises ValueError."""
    bits = _Bits(sps[1:].replace(b"\0\0\3", b"\0\0"))
    profile = bits.take(8)
    bits.take(16)
    bits.exp_golomb()
    chroma = 1
    if profile in _HIGH_PROFILES:
        chroma = bits.exp_golomb()
        if chroma == 3:
            bits.take(1)
        bits.exp_golomb()
        bits.exp_golomb()
        bits.take(1)
        if bits.take(1):
            _skip_scaling_lists(bits, 12 if chroma == 3 else 8)
    bits.exp_golomb()
    _skip_order(bits)
    bits.exp_golomb()
    bits.take(1)
    width, height = bits.exp_golomb() + 1, bits.exp_golomb() + 1
    frames_only = bits.take(1)
    if not frames_only:
        bits.take(1)
    bits.take(1)
    left = right = top = bottom = 0
    if bits.take(1):
        left, right, top, bottom = (bits.exp_golomb() for _ in range(4))
    across, down = (2 if chroma in (1, 2) else 1), (2 if chroma == 1 else 1) * (2 - frames_only)
    width = width * 16 - (left + right) * across
    height = height * 16 * (2 - frames_only) - (top + bottom) * down
    if width <= 0 or height <= 0:
        raise ValueError("a picture without a size")
    return width, height


def _skip_order(bits: "_Bits") -> None:
    kind = bits.exp_golomb()
    if kind == 0:
        bits.exp_golomb()
    elif kind == 1:
        bits.take(1)
        bits.exp_golomb()
        bits.exp_golomb()
        for _ in range(min(bits.exp_golomb(), 255)):
            bits.exp_golomb()


def _skip_scaling_lists(bits: "_Bits", count: int) -> None:
    for number in range(count):
        if not bits.take(1):
            continue
        scale = 8
        for _ in range(16 if number < 6 else 64):
            code = bits.exp_golomb()
            delta = (code + 1) // 2 if code % 2 else -(code // 2)
            scale = (scale + delta) % 256
            if not scale:
                break


class _Bits:
    """Reads from the highest bit on. Raises ValueError at the end."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data)
        self._left = len(data) * 8

    def take(self, count: int) -> int:
        """`count` bits as a number."""
        if count > self._left:
            raise ValueError("the parameter set is truncated")
        self._left -= count
        return self._value >> self._left & ((1 << count) - 1)

    def exp_golomb(self) -> int:
        """ITU-T H.264 9.1."""
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > _MOST_ZEROS:
                raise ValueError("the parameter set is malformed")
        return (1 << zeros) - 1 + self.take(zeros)
