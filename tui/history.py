"""The last minute or two of every instance, for the charts."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from appliance.control.snapshot import InstanceStats, Snapshot

_KEPT = 180
_PERIOD_SECONDS = 0.9  # streamers report once a second


def _samples() -> "deque[float | None]":
    return deque(maxlen=_KEPT)


@dataclass(slots=True)
class Samples:
    """One value a second, oldest first; None where it was not known."""

    fps: "deque[float | None]" = field(default_factory=_samples)
    kbps: "deque[float | None]" = field(default_factory=_samples)
    latency_ms: "deque[float | None]" = field(default_factory=_samples)

    def add(self, stats: InstanceStats | None) -> None:
        """Append what `stats` says."""
        self.fps.append(stats.fps if stats else None)
        self.kbps.append(stats.bitrate_kbps if stats else None)
        self.latency_ms.append(stats.capture_to_encoded_p50_ms if stats else None)


class History:
    """Samples of every instance, on the clock of the box, so that a burst of snapshots is one sample."""

    def __init__(self) -> None:
        self._samples: dict[str, Samples] = {}
        self._at = float("-inf")

    def add(self, snapshot: Snapshot) -> None:
        """Take a sample if it is time; instances that are gone are forgotten."""
        now = snapshot.box.uptime_s
        if now < self._at:  # the daemon started again
            self._samples.clear()
        elif now - self._at < _PERIOD_SECONDS:
            return
        self._at = now
        self._samples = {each.id: self._samples.get(each.id, Samples()) for each in snapshot.instances}
        for each in snapshot.instances:
            self._samples[each.id].add(each.stats)

    def of(self, instance: str) -> Samples:
        """The samples of `instance`; empty ones where there are none yet."""
        return self._samples.get(instance, Samples())


def known(values: Iterable[float | None]) -> list[float]:
    """The values that are known."""
    return [value for value in values if value is not None]
