"""Films for tests."""

from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream


def noise(file: Path, width: int = 640, height: int = 360, frames: int = 30) -> Path:
    """A second of coarse noise at 30 fps: frames of many packets at any bitrate."""
    chance = np.random.default_rng(1)
    with av.open(str(file), "w") as container:
        stream = container.add_stream("mjpeg", rate=30)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuvj420p"
        for _ in range(frames):
            coarse = chance.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
            picture = coarse.repeat(8, axis=0).repeat(8, axis=1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return file
