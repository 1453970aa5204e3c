"""Sound on the clock of the pictures."""

from appliance.streamer.frames import AUDIO_CLOCK
from appliance.streamer.rtp.red import SoundPacket

_DRIFT = 1e-3  # more than the clocks of sound cards are off
_JUMP_NS = 2_000_000_000


class SoundClock:
    """Timestamps count samples from anywhere. The most punctual packets tell when the first one was played.

    A packet arrives with the last of its samples at the earliest.
    """

    def __init__(self) -> None:
        self._origin_ns: float | None = None
        self._last = 0

    def at_ns(self, packet: SoundPacket, arrived_ns: int) -> int:
        """When `packet` was played, in ns of time.monotonic_ns()."""
        since_ns = packet.timestamp * 1e9 / AUDIO_CLOCK
        origin_ns = arrived_ns - since_ns
        passed_ns = (packet.timestamp - self._last) * 1e9 / AUDIO_CLOCK
        self._last = packet.timestamp
        late = float("inf") if self._origin_ns is None else self._origin_ns + passed_ns * _DRIFT
        if passed_ns < 0 or origin_ns - late > _JUMP_NS:
            late = origin_ns
        self._origin_ns = min(origin_ns, late)
        return round(self._origin_ns + since_ns)
