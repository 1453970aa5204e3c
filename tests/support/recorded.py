"""What is in a recording, as any player finds it."""

from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np


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
