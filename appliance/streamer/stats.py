"""What a streamer says of itself."""

import collections
import os
from collections.abc import Iterable, Sequence
from typing import Protocol

from appliance.bus.spec import StreamerSpec
from appliance.bus.stats import InstanceStats, ViewerStats
from appliance.streamer.frames import SourceInfo


class Counters(Protocol):
    """What a rendition counts. None is not known."""

    @property
    def info(self) -> SourceInfo | None:
        """What runs; None while nothing does."""

    @property
    def problem(self) -> str:
        """Why there is no picture; empty where there is one."""

    @property
    def frames_encoded(self) -> int:
        """Since the beginning."""

    @property
    def keyframes(self) -> int:
        """Since the beginning."""

    @property
    def encode_s(self) -> float:
        """Spent in the encoder since the beginning."""

    @property
    def keyframe_requests(self) -> int:
        """Since the beginning, before they were coalesced."""

    @property
    def fps(self) -> float | None:
        """Frames a second."""

    @property
    def bitrate_kbps(self) -> float | None:
        """Encoded bits."""

    @property
    def capture_to_encoded_ms(self) -> tuple[float, float] | None:
        """Median and 95th percentile."""


def busiest(renditions: Iterable[Counters], viewers: Iterable[ViewerStats]) -> Counters | None:
    """The running rendition that most of `viewers` see, of several the one with most frames a second."""
    seen = collections.Counter(viewer.codec for viewer in viewers)

    def business(rendition: Counters) -> tuple[int, float]:
        return seen[str(rendition.info.codec)] if rendition.info else 0, rendition.fps or 0.0

    return max((each for each in renditions if each.info), key=business, default=None)


def problem_of(renditions: Iterable[Counters]) -> str:
    """Why there is no picture; empty while any rendition runs."""
    renditions = list(renditions)
    if any(each.info and not each.problem for each in renditions):
        return ""
    return next((each.problem for each in renditions if each.problem), "")


def instance_stats(
    spec: StreamerSpec,
    renditions: Sequence[Counters],
    viewers: list[ViewerStats],
    *,
    audio: str,
    input_: str,
    microphone: str = "",
    microphone_problem: str = "",
    gamepads: str = "",
    udp_port: int = 0,
    shards: Sequence[int] = (),
    published: str = "",
    recording: str = "",
    recording_problem: str = "",
    problem: str = "",
    tasks: int = 0,
) -> InstanceStats:
    """Counters over all renditions, rates and words of the busiest one."""
    shown = busiest(renditions, viewers)
    info = shown.info if shown else None
    median, p95 = (shown and shown.capture_to_encoded_ms) or (None, None)
    return InstanceStats(
        instance=spec.instance,
        session=spec.session,
        pid=os.getpid(),
        source=info.source if info else "",
        encoder=info.encoder if info else "",
        encoder_reason=info.reason if info else "",
        software_fallback=bool(info and info.software_fallback),
        codec=str(info.codec) if info else "",
        width=info.width if info else None,
        height=info.height if info else None,
        fps=shown.fps if shown else None,
        screen=spec.screen,
        target_fps=spec.screen.fps,
        bitrate_kbps=shown.bitrate_kbps if shown else None,
        target_kbps=spec.bitrate_kbps,
        capture_to_encoded_p50_ms=median,
        capture_to_encoded_p95_ms=p95,
        frames_encoded=sum(each.frames_encoded for each in renditions),
        frames_dropped=sum(viewer.frames_dropped for viewer in viewers),
        keyframes=sum(each.keyframes for each in renditions),
        encode_s=round(sum(each.encode_s for each in renditions), 6),
        keyframe_requests=sum(each.keyframe_requests for each in renditions),
        audio=audio,
        microphone=microphone,
        microphone_problem=microphone_problem,
        input=input_,
        gamepads=gamepads,
        udp_port=udp_port,
        shards=list(shards),
        published=published,
        recording=recording,
        recording_problem=recording_problem,
        problem=problem or problem_of(renditions),
        viewers=viewers,
        viewers_max=spec.viewers_max,
        tasks=tasks,
    )
