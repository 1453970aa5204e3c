"""`python -m hw.probe`: encodes a frame on every candidate read from stdin, prints one JSON line for each."""

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from fractions import Fraction
from typing import cast

from hw.encoders import Candidate, EncoderProbe, failed

_WIDTH, _HEIGHT, _RATE = 640, 360, 30
_FRAMES, _TIMED_FRAMES = 30, 3
_FIRST_FRAME_SECONDS = 8.0
_PYAV = {
    "x264": ("libx264", {"preset": "ultrafast", "tune": "zerolatency"}),
    "libvpx": ("libvpx", {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}),
    "nvenc": ("h264_nvenc", {"preset": "p1", "tune": "ull", "delay": "0", "zerolatency": "1"}),
}


class _NoEncoderError(Exception):
    """The encoder refused; the text says why."""


def try_pyav(candidate: Candidate) -> float:
    """Encode with FFmpeg until packets come; returns the milliseconds of the fastest frame."""
    import av
    import numpy as np

    name, options = _PYAV[candidate.name]
    try:
        encoder = cast("av.VideoCodecContext", av.CodecContext.create(name, "w"))
        encoder.width, encoder.height, encoder.pix_fmt = _WIDTH, _HEIGHT, "yuv420p"
        encoder.framerate, encoder.time_base = Fraction(_RATE), Fraction(1, _RATE)
        encoder.bit_rate, encoder.options = 2_000_000, options
        times: list[float] = []
        for number in range(_FRAMES):
            pixels = np.full((_HEIGHT * 3 // 2, _WIDTH), 16 + number, dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, format="yuv420p")
            frame.pts = number
            began = time.perf_counter()
            packets = encoder.encode(frame)
            if any(packet.size for packet in packets):
                times.append((time.perf_counter() - began) * 1000)
            if len(times) == _TIMED_FRAMES:
                return min(times)
    except (av.FFmpegError, ValueError, OSError) as exc:
        raise _NoEncoderError(f"{name}: {exc}") from exc
    raise _NoEncoderError(f"{name}: {len(times)} packets after {_FRAMES} frames")


def try_pixelflux(candidate: Candidate) -> float:
    """Capture a frame of pixelflux's own compositor on the GPU; returns the milliseconds of its encoding."""
    import pixelflux

    settings = pixelflux.CaptureSettings()
    settings.use_wayland = True
    settings.capture_width, settings.capture_height, settings.target_fps = _WIDTH, _HEIGHT, float(_RATE)
    settings.codec = candidate.codec.lower()
    settings.video_fullframe = settings.video_streaming_mode = settings.omit_stripe_headers = True
    if candidate.render_node:
        settings.encode_node_path = settings.render_node_path = candidate.render_node
    times: list[int] = []
    encoded = threading.Event()

    def deliver(frame: pixelflux.StripeFrame) -> None:
        if len(frame):
            times.append(frame.encode_end_ns - frame.encode_start_ns)
            encoded.set()

    capture = pixelflux.ScreenCapture()
    try:
        capture.start_capture(deliver, settings)
        if not encoded.wait(_FIRST_FRAME_SECONDS):
            raise _NoEncoderError(f"no frame within {_FIRST_FRAME_SECONDS:.0f} s")
        running = capture.stream_info() or {}
    except (RuntimeError, ValueError, OSError) as exc:
        raise _NoEncoderError(str(exc)) from exc
    finally:
        capture.stop_capture()
    # It falls back to software by itself; only what it says it ran on is proof.
    if not running.get("hardware"):
        raise _NoEncoderError(str(running.get("encoder_reason") or "it encoded in software"))
    return times[0] / 1e6


_BACKENDS: dict[str, Callable[[Candidate], float]] = {"pyav": try_pyav, "pixelflux": try_pixelflux}


def probe(candidate: Candidate) -> EncoderProbe:
    """Try one candidate. Never raises; a crash of the driver ends the process."""
    try:
        milliseconds = _BACKENDS[candidate.backend](candidate)
    except (_NoEncoderError, ImportError) as exc:
        return failed(candidate, str(exc))
    took = round(milliseconds, 2)
    return EncoderProbe(
        **asdict(candidate), works=True, detail=f"{took:.1f} ms for a frame of 640x360", milliseconds=took
    )


def main() -> None:
    """Read candidates as JSON from stdin; results go to stdout, everything that libraries say to stderr."""
    results = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    for fields in json.load(sys.stdin):
        results.write(json.dumps(asdict(probe(Candidate(**fields)))) + "\n")
    results.flush()
    # Drivers may hang while they are unloaded; everything is said.
    os._exit(0)


if __name__ == "__main__":
    main()
