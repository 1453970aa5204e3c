"""Software encoders through PyAV: one picture in, one access unit out, never a frame of delay."""

import os
import time
from collections.abc import Sequence
from fractions import Fraction
from typing import Protocol

import av
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from appliance.errors import UnavailableError
from appliance.streamer.capture.areas import Area
from appliance.streamer.capture.hints import tell_changes
from appliance.streamer.frames import VIDEO_CLOCK, Codec, EncodedFrame

BURST_S = 0.1
"""What one frame may weigh, in seconds of the bitrate: the most latency that a new picture may cost."""

_TIME_BASE = Fraction(1, VIDEO_CLOCK)
_X264_CEILING = 400_000_000
_X264_LEAST = 0.5  # of a frame's share
_X264_THREADS = 4
_X264_BLOCKS = 4000  # macroblocks for each thread: 720p is sooner encoded by one, 1080p by two
_X264_PARAMETERS = "repeat-headers=1:annexb=1:scenecut=0:keyint=infinite:sliced-threads=1"
_X264_SEARCH = "me=umh:me_range=32"
"""As far as a page scrolls at a time: what it does not find again is all new, and text on the move would stay
unreadable. Pictures that are new anyway take a fifth longer than with x264's 16, with 48 nearly half."""
_VP8_STEP = 0.2

# Numbers of ITU-T H.273: sRGB primaries and transfer, the BT.601 matrix that libyuv applies, limited range.
_PRIMARIES_BT709, _TRANSFER_SRGB, _MATRIX_BT601, _RANGE_LIMITED = 1, 13, 6, 1

# ITU-T H.264 table A-1: macroblocks a frame, macroblocks a second, level.
_H264_LEVELS = (
    (3600, 108_000, "3.1"),
    (5120, 216_000, "3.2"),
    (8192, 245_760, "4.0"),
    (8704, 522_240, "4.2"),
    (22_080, 589_824, "5.0"),
    (36_864, 983_040, "5.1"),
    (36_864, 2_073_600, "5.2"),
)


class EncoderRefusedError(UnavailableError):
    """This encoder does not work here; another one may."""


class Encoder(Protocol):
    """Encodes the pictures of one source, from one thread."""

    name: str
    codec: Codec
    fps: int

    def encode(
        self,
        picture: av.VideoFrame,
        captured_ns: int,
        *,
        keyframe: bool,
        changed: Sequence[Area] | None = None,
    ) -> EncodedFrame:
        """Encode a yuv420p picture of even size at once; another size than before opens anew.

        `changed` covers all that differs from the picture before, where that is known.
        The picture may be reused afterwards. Raises EncoderRefusedError.
        """

    def set_bitrate(self, kbps: int) -> None:
        """Steer from the next frame on."""


def open_encoder(codec: Codec, *, fps: int, kbps: int) -> Encoder:
    """The software encoder for `codec`."""
    return X264Encoder(fps, kbps) if codec is Codec.H264 else Vp8Encoder(fps, kbps)


class _PyavEncoder:
    """What the encoders share: opening on demand, and RTP timestamps from the capture clock."""

    name: str
    codec: Codec
    library: str

    def __init__(self, fps: int, kbps: int) -> None:
        self.fps = fps
        self._kbps = self._opened_kbps = kbps
        self._context: VideoCodecContext | None = None
        self._timestamp = 0
        self._captured_ns = 0
        self._weight = 0
        """Of the frame before, in bits."""

    def encode(
        self,
        picture: av.VideoFrame,
        captured_ns: int,
        *,
        keyframe: bool,
        changed: Sequence[Area] | None = None,
    ) -> EncodedFrame:
        """See Encoder.encode."""
        context = self._context
        if (
            context is None
            or (context.width, context.height) != (picture.width, picture.height)
            or self._outgrown(keyframe)
        ):
            context = self._context = self._open(picture.width, picture.height)
        self._steer(context, (captured_ns - self._captured_ns) / 1e9)
        self._captured_ns = captured_ns
        self._timestamp = max(self._timestamp + 1, captured_ns * VIDEO_CLOCK // 1_000_000_000)
        picture.pts = self._timestamp
        picture.time_base = _TIME_BASE
        picture.pict_type = PictureType.I if keyframe else PictureType.NONE
        start = time.monotonic_ns()
        tell_changes(picture, changed)
        try:
            packets = context.encode(picture)
        except av.error.FFmpegError as exc:
            raise EncoderRefusedError(f"{self.name}: {exc}") from exc
        if len(packets) != 1:
            raise EncoderRefusedError(f"{self.name}: {len(packets)} packets for one picture")
        data, is_key = bytes(packets[0]), packets[0].is_keyframe
        self._weight = 8 * len(data)
        return EncodedFrame(data, is_key, self._timestamp, captured_ns, start, time.monotonic_ns())

    def set_bitrate(self, kbps: int) -> None:
        """See Encoder.set_bitrate."""
        self._kbps = kbps

    def _open(self, width: int, height: int) -> VideoCodecContext:
        self._opened_kbps = self._kbps
        try:
            context = av.CodecContext.create(self.library, "w")
            if not isinstance(context, VideoCodecContext):
                raise EncoderRefusedError(f"{self.library} is no video encoder")
            context.width, context.height, context.pix_fmt = width, height, "yuv420p"
            context.framerate, context.time_base = Fraction(self.fps), _TIME_BASE
            context.gop_size = 1_000_000_000
            context.color_primaries, context.color_trc = _PRIMARIES_BT709, _TRANSFER_SRGB
            context.colorspace, context.color_range = _MATRIX_BT601, _RANGE_LIMITED
            context.bit_rate = self._ceiling()
            context.options = {
                "threads": "1",
                "maxrate": str(self._ceiling()),
                **self._options(-(-width // 16) * -(-height // 16)),
            }
            context.open()
        except (av.error.FFmpegError, ValueError) as exc:
            raise EncoderRefusedError(f"{self.name} {width}x{height}: {exc}") from exc
        return context

    def _outgrown(self, keyframe: bool) -> bool:  # noqa: ARG002 - some can be steered at any time
        """Whether the wanted bitrate needs another context."""
        return False

    def _ceiling(self) -> int:
        """The bitrate to open with, bits per second."""
        raise NotImplementedError

    def _steer(self, context: VideoCodecContext, elapsed_s: float) -> None:
        """Adjust for the coming frame, `elapsed_s` after the one before."""

    def _options(self, blocks: int) -> dict[str, str]:
        """For a picture of so many macroblocks."""
        raise NotImplementedError


class X264Encoder(_PyavEncoder):
    """H.264 constrained baseline at a constant bitrate, the mode that x264 can steer without a keyframe.

    x264 never goes above the bitrate it was opened with, so it is opened far above and steered down. Its
    own buffer is one frame long at any bitrate: the real one is kept here, and says what a frame may weigh.
    """

    name = "x264"
    codec = Codec.H264
    library = "libx264"

    def __init__(self, fps: int, kbps: int) -> None:
        super().__init__(fps, kbps)
        self._credit = kbps * 1000 * BURST_S
        """Bits that the coming frame may weigh."""

    def _ceiling(self) -> int:
        return _X264_CEILING

    def _steer(self, context: VideoCodecContext, elapsed_s: float) -> None:
        # With a buffer of some frames x264 makes 50 to 90 % of the bitrate, as the picture will have it. What
        # a frame leaves makes room for the next one instead, so that all of it is used.
        rate = self._kbps * 1000
        self._credit = min(self._credit - self._weight + elapsed_s * rate, rate * BURST_S)
        allowed = max(self._credit, _X264_LEAST * rate / self.fps)
        context.bit_rate = min(int(allowed * self.fps), _X264_CEILING)

    def _options(self, blocks: int) -> dict[str, str]:
        return {
            "preset": "ultrafast",
            "tune": "zerolatency",
            "profile": "baseline",
            "level": _h264_level(blocks, self.fps),
            "forced-idr": "1",
            "mb_info": "1",
            "qmin": "18",
            "bufsize": "1000",  # x264 makes it one frame
            "threads": str(max(1, min(_X264_THREADS, blocks // _X264_BLOCKS, len(os.sched_getaffinity(0))))),
            "x264-params": f"{_X264_PARAMETERS}:{_X264_SEARCH}",
        }


class Vp8Encoder(_PyavEncoder):
    """VP8 for who cannot decode H.264. FFmpeg's libvpx cannot be steered: a new bitrate is a new encoder."""

    name = "libvpx"
    codec = Codec.VP8
    library = "libvpx"

    def _outgrown(self, keyframe: bool) -> bool:
        change = abs(self._kbps / self._opened_kbps - 1)
        return change > (0 if keyframe else _VP8_STEP)

    def _ceiling(self) -> int:
        return self._kbps * 1000

    def _options(self, blocks: int) -> dict[str, str]:  # noqa: ARG002 - libvpx does not care
        return {
            "bufsize": str(int(self._kbps * 1000 * BURST_S)),
            "deadline": "realtime",
            "cpu-used": "-8",
            "lag-in-frames": "0",
            "minrate": str(self._ceiling()),
            "max-intra-rate": str(int(BURST_S * self.fps * 100)),
            "screen-content-mode": "1",
            "static-thresh": "1",
            "qmin": "4",
            "qmax": "63",
            "undershoot-pct": "95",
        }


def _h264_level(blocks: int, fps: int) -> str:
    """The lowest level that carries this; x264 would go by the ceiling we open it with."""
    for frame, second, level in _H264_LEVELS:
        if blocks <= frame and blocks * fps <= second:
            return level
    return _H264_LEVELS[-1][2]
