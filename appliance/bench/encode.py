"""What this machine's encoders manage: software on a moving picture, the others as they were proved."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from appliance.streamer.capture.encoder import open_encoder
from appliance.streamer.capture.pattern import Pattern
from appliance.streamer.frames import Codec
from hw.encoders import EncoderProbe

_KBPS, _FPS = 8000, 60
_WARM_UP = 5


@dataclass(frozen=True, slots=True)
class EncodeSpeed:
    """Milliseconds of the wall clock for a frame; None where the encoder does not work."""

    encoder: str
    codec: str
    hardware: bool
    size: str
    p50_ms: float | None
    p95_ms: float | None
    detail: str = ""

    @property
    def fps(self) -> float | None:
        """Frames that it manages in a second, with nothing else to do."""
        return 1000 / self.p50_ms if self.p50_ms else None


def proved(probe: EncoderProbe) -> EncodeSpeed:
    """The one frame that an encoder was tried with."""
    milliseconds = probe.milliseconds if probe.works else None
    return EncodeSpeed(
        probe.name, probe.codec, probe.hardware, "640x360", milliseconds, milliseconds, probe.detail
    )


def measure(probe: EncoderProbe, size: tuple[int, int], frames: int) -> EncodeSpeed:
    """One of our software encoders on so many frames; blocks. Raises EncoderRefusedError."""
    width, height = size
    pattern, encoder = Pattern(width, height), open_encoder(Codec(probe.codec), fps=_FPS, kbps=_KBPS)
    took: list[float] = []
    for number in range(frames + _WARM_UP):
        pattern.draw(number)
        began = time.perf_counter()
        encoder.encode(pattern.picture, number * 1_000_000_000 // _FPS, keyframe=not number)
        took.append(1000 * (time.perf_counter() - began))
    took = sorted(took[_WARM_UP:])
    p50, p95 = took[len(took) // 2], took[len(took) * 95 // 100]
    return EncodeSpeed(probe.name, probe.codec, probe.hardware, f"{width}x{height}", p50, p95)


def software(probes: Sequence[EncoderProbe]) -> list[EncoderProbe]:
    """Those that can be measured here."""
    return [probe for probe in probes if probe.works and not probe.hardware]
