"""The last keyframe and what followed: enough for who joins now, where little did."""

from dataclasses import replace

from appliance.streamer.frames import VIDEO_CLOCK, EncodedFrame

_MOST = 32
"""Frames: those that sharpen a still screen, and half a minute of its heartbeats."""
_SHARE = 2
"""What followed weighs at most so many times the keyframe: a keyframe more would weigh about that for all."""


class RecentFrames:
    """Frames that are older than `fresh_s` get the time that they are given out at, less that much."""

    def __init__(self, fresh_s: float) -> None:
        self._fresh_ns = int(fresh_s * 1e9)
        self._frames: list[EncodedFrame] = []
        self._room = 0

    @property
    def enough(self) -> bool:
        """Whether who joins now needs no keyframe of its own."""
        return bool(self._frames)

    def add(self, frame: EncodedFrame) -> None:
        """It was encoded after all before."""
        if frame.keyframe:
            self._frames, self._room = [frame], _SHARE * len(frame.data)
            return
        self._room -= len(frame.data)
        if not 0 < len(self._frames) < _MOST or self._room < 0:
            self.forget()
        else:
            self._frames.append(frame)

    def forget(self) -> None:
        """The source ended."""
        self._frames = []

    def again(self, now_ns: int) -> list[EncodedFrame]:
        """For one who joins now: between timestamps that are far apart a receiver would wait."""
        if not self._frames or now_ns - self._frames[0].encoded_ns < self._fresh_ns:
            return self._frames[:]
        shown_ns = now_ns - self._fresh_ns
        last = self._frames[-1]
        ahead = max(0, shown_ns - last.captured_ns) * VIDEO_CLOCK // 1_000_000_000
        first_timestamp = last.timestamp + ahead - len(self._frames) + 1
        return [
            replace(
                frame,
                timestamp=first_timestamp + number,
                captured_ns=shown_ns,
                encode_start_ns=shown_ns,
                encoded_ns=now_ns,
            )
            for number, frame in enumerate(self._frames)
        ]
