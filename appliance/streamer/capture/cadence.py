"""When the next frame of a screen is due: at once after a change, rarely on a still screen."""

QUIET_S = 0.0004
"""An application draws in several requests: after no more of them for so long its frame is whole."""
SETTLE_S = 0.002
"""Nobody waits longer for that."""
CLEANUP_S = 0.1
"""After the last change: frames that only sharpen the picture, this far apart."""
CLEANUP_FRAMES = 20
"""So many at most."""
SHARP_BYTES = 4096
"""A frame of a still screen that weighs less had nothing left to sharpen."""
HEARTBEAT_S = 15.0
"""Of a still screen: so that nobody takes it for dead."""

_HASTE = 0.04
"""So much faster than the frame rate it may go: else an application that draws at that very rate would, once
captured late, be captured late for ever."""


class Cadence:
    """Times in seconds of one monotonic clock."""

    def __init__(self, fps: int, now: float) -> None:
        self._interval = (1 - _HASTE) / fps
        self._earliest = now
        self._still = 0
        self._forced = False
        self.due = now
        """When to encode the next frame."""
        self.changed = True
        """Whether the coming frame shows something new."""
        self.drawing = False
        """Whether it waits for no more than an application that may not have drawn all of it yet."""
        self._settled = now

    def damaged(self, now: float) -> None:
        """The screen changed."""
        if not self.changed:
            self.changed = True
            # Half an interval of slack: an application that draws at our own rate, unevenly, is still
            # captured as it draws; the rate holds on average.
            turn = self._earliest - self._interval / 2
            self.drawing = turn <= now + QUIET_S
            self._settled = now + SETTLE_S
            self.due = min(self.due, max(now + QUIET_S, turn))
        elif self.drawing:
            self.due = max(self.due, min(now + QUIET_S, self._settled))

    def forced(self, now: float) -> None:
        """A frame is wanted now, whatever the screen does; it starts coarse and is sharpened again."""
        self._forced = True
        self.due = min(self.due, now)

    def captured(self, now: float, size: int) -> None:
        """The frame that was due has been captured and weighs `size` bytes."""
        if self._forced:  # beside the application's own, which it shall not delay
            self._earliest = max(self._earliest, now + self._interval)
        else:
            self._earliest = max(self._earliest, now) + self._interval
        self._still = 0 if self.changed or self._forced else self._still + 1
        self.changed = self.drawing = self._forced = False
        sharpen = size > SHARP_BYTES and self._still < CLEANUP_FRAMES
        self.due = now + (CLEANUP_S if sharpen else HEARTBEAT_S)
