"""Timestamps for sound that pauses, and what goes out in the pauses.

Nothing plays most of the time, and then next to nothing is sent: silence for as long as a decoder remembers
what was before, so that it makes up the rest of the pause from silence, and a packet of it now and then, for
whoever comes meanwhile. Packets of DTX (RFC 7587 section 3.1.3) would do the same, but each pause that begins
with one adds 20 ms to the delay in Chromium, which then plays the next sound too fast to make up for it.
"""

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from appliance.streamer.frames import AUDIO_CLOCK

_MEMORY_MS = 50
_REPEAT_SECONDS = 0.4
_DRIFT = 1e-3  # more than the clocks of sound cards are off
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
        self._silence = silence(frame_ms)
        self._leading = math.ceil(_MEMORY_MS / frame_ms)
        self._offset: int | None = None
        """Of timestamps, from the samples that this capture counts."""
        self._last = -self._frame
        self._origin = clock()
        """When a packet with timestamp 0 was on time."""
        self._repeat: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Another capture begins, in silence; it counts its samples from anywhere."""
        self.stop()
        self._offset = None
        self._pause(sent=0)

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
        late = self._origin + _DRIFT * self._frame_s
        self._origin = min(late, self._clock() - self._last / AUDIO_CLOCK)
        self.stop()
        if ends:
            self._pause_in(self._frame_s, sent=0)

    def _pause(self, sent: int) -> None:
        self._send(self._silence, max(self._now(), self._last + self._frame))
        self._pause_in(self._frame_s if sent + 1 < self._leading else _REPEAT_SECONDS, sent + 1)

    def _pause_in(self, seconds: float, sent: int) -> None:
        self._repeat = asyncio.get_running_loop().call_later(seconds, self._pause, sent)

    def _now(self) -> int:
        """The timestamp that a packet has if it is on time."""
        ahead = (self._clock() - self._origin) * AUDIO_CLOCK - self._last
        return self._last + round(ahead / self._frame) * self._frame

    def _send(self, opus: bytes, timestamp: int) -> None:
        self._last = timestamp
        self._deliver(EncodedAudio(opus, timestamp))


def silence(frame_ms: int) -> bytes:
    """An Opus packet of digital silence: 5, 10 or 20 ms."""
    configuration = _FULLBAND + (5, 10, 20).index(frame_ms) + 1
    return bytes([configuration << 3 | _STEREO]) + b"\xff\xfe"
