"""Rates and latency of encoded frames over sliding windows."""

from collections import deque
from collections.abc import Iterator

from appliance.streamer.frames import EncodedFrame

_RATE_NS = 2_000_000_000
_LATENCY_NS = 10_000_000_000


class Meter:
    """Counts frames; all times in ns of time.monotonic_ns()."""

    def __init__(self) -> None:
        self.frames = 0
        self.keyframes = 0
        self.encode_ns = 0
        """Spent in the encoder."""
        self._recent: deque[tuple[int, int, int]] = deque()
        """When encoded, bytes, capture to encoded."""

    def count(self, frame: EncodedFrame) -> None:
        """Add `frame`."""
        self.frames += 1
        self.keyframes += frame.keyframe
        self.encode_ns += frame.encoded_ns - frame.encode_start_ns
        self._recent.append((frame.encoded_ns, len(frame.data), frame.encoded_ns - frame.captured_ns))
        self._trim(frame.encoded_ns)

    def fps(self, now_ns: int) -> float:
        """Frames a second."""
        return sum(1 for _ in self._sizes(now_ns)) * 1e9 / _RATE_NS

    def kbps(self, now_ns: int) -> float:
        """Kilobits a second."""
        return sum(self._sizes(now_ns)) * 8e6 / _RATE_NS

    def latency_ms(self, now_ns: int) -> tuple[float, float] | None:
        """Capture to encoded: median and 95th percentile; None without frames."""
        self._trim(now_ns)
        if not self._recent:
            return None
        latencies = sorted(latency for _, _, latency in self._recent)
        return latencies[len(latencies) // 2] / 1e6, latencies[len(latencies) * 95 // 100] / 1e6

    def forget_rates(self) -> None:
        """The source stopped: what it did says nothing of the next one."""
        self._recent.clear()

    def _sizes(self, now_ns: int) -> Iterator[int]:
        """Of the frames that rates are made of; those are a few of all that is known."""
        for encoded, size, _ in reversed(self._recent):
            if encoded <= now_ns - _RATE_NS:
                return
            yield size

    def _trim(self, now_ns: int) -> None:
        while self._recent and self._recent[0][0] < now_ns - _LATENCY_NS:
            self._recent.popleft()
