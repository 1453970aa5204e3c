"""One file of a recording: encoded pictures and sound in Matroska, as they are.

Matroska, and not MP4: it can be played wherever it breaks off, without fragments that players seek badly in,
and VP8 with Opus is at home in it. Used in the thread of the tape.
"""

import io
from fractions import Fraction

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream

from appliance.recordings import Draft
from appliance.streamer.frames import AUDIO_CLOCK, Codec, EncodedFrame

_MS = Fraction(1, 1000)
_OPTIONS = {
    "cluster_time_limit": "1000",  # what a crash may cost, in ms
    "flush_packets": "1",
    "max_interleave_delta": "1",  # a still screen holds up no sound, nor silence a picture
}
_VP8_SIZE = slice(6, 10)  # RFC 6386 section 9.1
_VP8_SIDE = 0x3FFF


class Segment:
    """Begins with the keyframe `first`: its clock is zero then. Everything raises OSError, FFmpegError."""

    def __init__(self, draft: Draft, codec: Codec, first: EncodedFrame, *, sound: bool) -> None:
        self._draft = draft
        self._origin_ns = first.captured_ns
        self._last: dict[Stream, int] = {}
        self._container = av.open(str(draft.file), "w", format="matroska", options=_OPTIONS)
        self._picture = _picture_stream(self._container, codec, first.data)
        self._sound = _sound_stream(self._container) if sound else None

    def picture(self, frame: EncodedFrame) -> None:
        """Write it at the time of its capture."""
        self._write(self._picture, frame.data, frame.captured_ns, keyframe=frame.keyframe)

    def sound(self, opus: bytes, at_ns: int) -> None:
        """Write it, if it is not older than the segment; `at_ns` is of the clock of the pictures."""
        if self._sound and at_ns >= self._origin_ns:
            self._write(self._sound, opus, at_ns, keyframe=True)

    def close(self) -> None:
        """Write the index; without it, too, the file can be played."""
        try:
            self._container.close()
        finally:
            self._draft.finish()

    def _write(self, stream: Stream, data: bytes, at_ns: int, *, keyframe: bool) -> None:
        packet = Packet(data)
        packet.stream, packet.time_base, packet.is_keyframe = stream, _MS, keyframe
        at = max((at_ns - self._origin_ns) // 1_000_000, self._last.get(stream, -1) + 1)
        packet.pts = packet.dts = self._last[stream] = at
        self._container.mux_one(packet)


def _picture_stream(container: OutputContainer, codec: Codec, keyframe: bytes) -> Stream:
    if codec is Codec.VP8:
        width, height = (
            int.from_bytes(keyframe[_VP8_SIZE][at : at + 2], "little") & _VP8_SIDE for at in (0, 2)
        )
        return container.add_mux_stream("vp8", width=width, height=height)
    with av.open(io.BytesIO(keyframe), format="h264") as probe:
        return container.add_stream_from_template(probe.streams.video[0])


def _sound_stream(container: OutputContainer) -> AudioStream:
    """FFmpeg's encoder writes the header of Opus; it is given nothing to encode."""
    return container.add_stream("libopus", rate=AUDIO_CLOCK, layout="stereo")
