"""What flows from capture to the viewers, and the one protocol that every source stands behind."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

VIDEO_CLOCK = 90_000
AUDIO_CLOCK = 48_000


class Codec(StrEnum):
    """Video codecs, by their name in SDP."""

    H264 = "H264"
    VP8 = "VP8"


@dataclass(frozen=True, slots=True)
class EncodedFrame:
    """One access unit: Annex B for H.264, one frame for VP8. Times in ns of time.monotonic_ns()."""

    data: bytes
    keyframe: bool
    timestamp: int
    """RTP timestamp in VIDEO_CLOCK units, strictly increasing, not wrapped."""
    captured_ns: int
    encode_start_ns: int
    encoded_ns: int
    number: int | None = None
    """Rises from frame to frame of one source; None where its encoder does not track references."""
    reference: int | None = None
    """The number of the only frame that this one is predicted from; None also in a keyframe."""


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What a running source is, in words for people. Size in pixels, even."""

    source: str
    encoder: str
    reason: str
    software_fallback: bool
    codec: Codec
    width: int
    height: int
    scalable: bool = True
    """Whether a smaller rendition can be made of its pictures."""


class VideoSource(Protocol):
    """Captures and encodes until cancelled. One per rendition, shared by all of its viewers."""

    @property
    def info(self) -> SourceInfo:
        """Valid once `started` is set."""

    async def run(self, deliver: Callable[[EncodedFrame], None], started: asyncio.Event) -> None:
        """Call `deliver` in the event loop for every frame, the first one a keyframe.

        Raises UnavailableError naming what is missing (display gone, encoder refused).
        """

    def request_keyframe(self) -> None:
        """Make the next frame a keyframe, at once even if the screen is still. Coalesced by the caller."""

    def refresh(self) -> None:
        """Make one more frame, even if the screen is still; where nothing smaller can be had, a keyframe."""

    def set_bitrate(self, kbps: int) -> None:
        """Steer a running encoder without a keyframe."""


@runtime_checkable
class ReferenceTracker(Protocol):
    """A source whose encoder can go on without frames that somebody lost."""

    def forget(self, number: int) -> None:
        """Predict from this frame, and from those after it, no more: no keyframe is needed then."""
