"""Timestamps for sound that pauses, and what goes out in the pauses.

Nothing plays most of the time, and then next to nothing is sent. But a receiver that hears nothing at all
takes it for loss: it makes up sound, and fades into what comes after the pause. So it is told (DTX, RFC 7587
section 3.1.3), and told again now and then, as Opus encoders do.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from appliance.streamer.frames import AUDIO_CLOCK

_REPEAT_SECONDS = 0.4
_FULLBAND, _STEREO = 28, 0x04  # RFC 6716 section 3.1: that one has 2.5 ms, the next ones 5, 10 and 20


@dataclass(frozen=True, slots=True)
class EncodedAudio:
    """One Opus packet, stereo."""

    data: bytes
    timestamp: int
    """In AUDIO_CLOCK units, strictly increasing, not wrapped; it jumps over silence."""


class Talkspurts:
    """Delivers the packets of captures that follow each other, on one line of time."""

    def __init__(
        self,
        deliver: Callable[[EncodedAudio], None],
        frame_ms: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._deliver = deliver
        self._clock = clock
        self._frame_s = frame_ms / 1000
        self._frame = frame_ms * AUDIO_CLOCK // 1000
        self._no_sound = no_sound(frame_ms)
        self._offset: int | None = None
        """Of timestamps, from the samples that this capture counts."""
        self._last = -self._frame
        self._last_at = clock()
        self._repeat: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Another capture begins, in silence; it counts its samples from anywhere."""
        self._offset = None
        self._pause_in(0)

    def stop(self) -> None:
        """Nothing comes any more, until the next start."""
        if self._repeat:
            self._repeat.cancel()
            self._repeat = None

    def sound(self, opus: bytes, pts: int, *, ends: bool) -> None:
        """A packet with its count of samples; `ends`: there is silence behind it."""
        earliest = self._last + self._frame
        if self._offset is None:
            self._offset = max(self._now(), earliest) - pts
        # A sound that comes a little early after a pause moves the line.
        self._offset += max(0, earliest - self._offset - pts)
        self._send(opus, self._offset + pts)
        self.stop()
        if ends:
            self._pause_in(self._frame_s)

    def _pause_in(self, seconds: float) -> None:
        self.stop()
        self._repeat = asyncio.get_running_loop().call_later(seconds, self._pause)

    def _pause(self) -> None:
        self._send(self._no_sound, max(self._now(), self._last + self._frame))
        self._pause_in(_REPEAT_SECONDS)

    def _now(self) -> int:
        """The timestamp that a packet has if it is on time."""
        frames = round((self._clock() - self._last_at) / self._frame_s)
        return self._last + frames * self._frame

    def _send(self, opus: bytes, timestamp: int) -> None:
        self._last, self._last_at = timestamp, self._clock()
        self._deliver(EncodedAudio(opus, timestamp))


def no_sound(frame_ms: int) -> bytes:
    """An Opus packet that says nothing, of 5, 10 or 20 ms."""
    return bytes([(_FULLBAND + (5, 10, 20).index(frame_ms) + 1) << 3 | _STEREO])
