"""What is in a recording, as any player finds it; and recordings as a streamer leaves them."""

from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from appliance.recordings import Draft
from appliance.streamer.capture.encoder import open_encoder
from appliance.streamer.frames import Codec, EncodedFrame
from appliance.streamer.recording.segment import Segment

NOON = 1_795_262_400.0
FPS = 10


@dataclass
class Recorded:
    """Times in seconds from the beginning of the file."""

    codecs: list[str]
    size: tuple[int, int]
    keyframes: list[float]
    """Of the packets."""
    pictures: list[tuple[float, float]]
    """When, and how bright on average; of those that could be decoded."""
    sounds: list[tuple[float, float]]
    """When, and how loud."""
    duration: float | None
    """As the index tells."""


def play(file: Path) -> Recorded:
    """Decode all of it."""
    keyframes, pictures, sounds = [], [], []
    with av.open(file) as container:
        codecs = [each.codec_context.name for each in container.streams]
        video = container.streams.video[0]
        duration = container.duration / 1e6 if container.duration else None
        for packet in container.demux():
            if packet.stream is video and packet.is_keyframe and packet.pts is not None:
                keyframes.append(float(packet.pts * packet.time_base))
            for frame in packet.decode():
                if isinstance(frame, av.VideoFrame):
                    pictures.append((frame.time, float(frame.to_ndarray(format="gray").mean())))
                else:
                    sounds.append((frame.time, float(np.abs(frame.to_ndarray()).max())))
        return Recorded(codecs, (video.width, video.height), keyframes, pictures, sounds, duration)


def encoded(codec: Codec = Codec.H264, width: int = 64) -> list[EncodedFrame]:
    """A second of pictures that get brighter, the first one a keyframe."""
    encoder = open_encoder(codec, fps=FPS, kbps=500)
    frames = []
    for number in range(FPS):
        picture = av.VideoFrame(width, 48, "yuv420p")
        for plane, value in zip(picture.planes, (20 + 20 * number, 128, 128), strict=True):
            plane.update(bytes([value]) * plane.buffer_size)
        frames.append(encoder.encode(picture, number * 1_000_000_000 // FPS, keyframe=not number))
    return frames


def tape(root: Path, at_s: float, codec: Codec = Codec.H264, width: int = 64) -> Path:
    """A file of a recording, with a track of sound, that began `at_s` after NOON."""
    draft = Draft(root / "applications", "desktop", NOON + at_s)
    frames = encoded(codec, width)
    segment = Segment(draft, codec, frames[0], sound=True)
    for frame in frames:
        segment.picture(frame)
    segment.sound(b"\xfc\xff\xfe", 500_000_000)
    segment.close()
    return root / "applications" / draft.name
