"""Which source shows what a spec asks for, with the best encoder that works."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from appliance.bus.spec import EncoderChoice, StreamerSpec
from appliance.errors import UnavailableError
from appliance.streamer.capture.encoder import EncoderRefusedError
from appliance.streamer.capture.worker import ThreadedSource
from appliance.streamer.capture.x11 import X11Source
from appliance.streamer.frames import Codec, EncodedFrame, ReferenceTracker, SourceInfo, VideoSource

logger = logging.getLogger(__name__)

_CAMERA = "/dev/video0"
_SCREENS = ("x11", "wayland", "command")
_SOFTWARE = {
    Codec.H264: EncoderChoice(name="x264", codec="H264", backend="pyav"),
    Codec.VP8: EncoderChoice(name="libvpx", codec="VP8", backend="pyav"),
}
_SOFTWARE_NAMES = {choice.name for choice in _SOFTWARE.values()}


def open_source(spec: StreamerSpec, codec: Codec) -> VideoSource:
    """A source for `codec` that walks the encoder ladder of `spec`, best first, until one works."""
    return LadderSource(ladder(spec, codec), lambda choice: _build(spec, choice))


def ladder(spec: StreamerSpec, codec: Codec) -> list[EncoderChoice]:
    """The steps of `spec` that can encode this source to `codec`; software is always the last."""
    steps = [
        choice
        for choice in spec.encoders
        if choice.codec == codec and (choice.backend == "pyav" or spec.kind in _SCREENS)
    ]
    if not any(not step.hardware for step in steps):
        steps.append(_SOFTWARE[codec])
    if spec.kind not in _SCREENS:  # no GPU encodes these
        steps = [step.model_copy(update={"fallback": False}) for step in steps]
    return steps


class LadderSource:
    """A VideoSource that is the first of `steps` whose encoder works, and says why not an earlier one."""

    def __init__(self, steps: list[EncoderChoice], build: Callable[[EncoderChoice], VideoSource]) -> None:
        self._steps = steps
        self._build = build
        self._step = steps[0]
        self._current: VideoSource | None = None
        self._kbps: int | None = None
        self._refused: dict[str, str] = {}
        self._lost_hardware = False
        self._plain: SourceInfo | None = None
        self._told: SourceInfo | None = None

    @property
    def info(self) -> SourceInfo:
        """See VideoSource.info."""
        if self._current is None:
            raise UnavailableError("the source does not run")
        info = self._current.info
        if self._told is None or info is not self._plain:  # it is asked for each viewer, many times a second
            reasons = [*self._refused.values(), info.reason]
            self._plain = info
            self._told = replace(
                info,
                reason="; ".join(reason for reason in reasons if reason),
                software_fallback=self._step.fallback or (self._lost_hardware and not self._step.hardware),
            )
        return self._told

    @property
    def capture(self) -> Any:
        """pixelflux's ScreenCapture where that captures, for input; else None."""
        return getattr(self._current, "capture", None)

    def second(self) -> VideoSource:
        """See ThreadedSource.second. Raises UnavailableError where a GPU or a compositor has the pictures."""
        if not isinstance(self._current, ThreadedSource):
            raise UnavailableError("there is no smaller rendition of what pixelflux captures")
        return self._current.second()

    async def run(self, deliver: Callable[[EncodedFrame], None], started: asyncio.Event) -> None:
        """See VideoSource.run. A step whose encoder refuses, even later on, gives way to the next."""
        for step in self._steps:
            self._step, self._told = step, None
            try:
                self._current = self._build(step)
                if self._kbps is not None:
                    self._current.set_bitrate(self._kbps)
                await self._current.run(deliver, started)
            except EncoderRefusedError as exc:
                logger.warning("encoder %s refused: %s", step.name, exc)
                self._refused[step.name] = str(exc)
                self._lost_hardware |= step.hardware
        raise UnavailableError("no encoder works: " + "; ".join(self._refused.values()))

    def request_keyframe(self) -> None:
        """See VideoSource.request_keyframe."""
        if self._current is not None:
            self._current.request_keyframe()

    def refresh(self) -> None:
        """See VideoSource.refresh."""
        if self._current is not None:
            self._current.refresh()

    def forget(self, number: int) -> None:
        """See ReferenceTracker.forget; frames without numbers come from those that are none."""
        if isinstance(self._current, ReferenceTracker):
            self._current.forget(number)

    def set_bitrate(self, kbps: int) -> None:
        """See VideoSource.set_bitrate."""
        self._kbps = kbps
        if self._current is not None:
            self._current.set_bitrate(kbps)


def _build(spec: StreamerSpec, choice: EncoderChoice) -> VideoSource:
    """The source of `spec` with this encoder. Raises UnavailableError."""
    codec, fps, kbps = Codec(choice.codec), spec.screen.fps, spec.bitrate_kbps
    size = spec.screen.width, spec.screen.height
    if spec.kind in _SCREENS and (choice.backend == "pixelflux" or spec.kind != "x11"):
        from appliance.streamer.capture.pixelflux import PixelfluxSource

        return PixelfluxSource(spec, choice, choice.reason)
    if choice.name not in _SOFTWARE_NAMES:
        raise EncoderRefusedError(f"{choice.name}: not an encoder that PyAV offers us")
    match spec.kind:
        case "x11":
            return X11Source(
                spec.display,
                xauthority=spec.xauthority,
                codec=codec,
                fps=fps,
                kbps=kbps,
                reason=choice.reason,
            )
        case "test-pattern":
            from appliance.streamer.capture.pattern import PatternSource

            return PatternSource(*size, codec=codec, fps=fps, kbps=kbps, reason=choice.reason)
        case "camera":
            from appliance.streamer.capture.media import open_camera

            return open_camera(
                spec.file or _CAMERA, size=size, codec=codec, fps=fps, kbps=kbps, reason=choice.reason
            )
        case _:
            from appliance.streamer.capture.media import MediaSource

            return MediaSource(spec.file, size=size, codec=codec, fps=fps, kbps=kbps, reason=choice.reason)
