"""Packets of one RTP stream in the order of their numbers: what is missing is asked for, then given up."""

from aiortc.rtp import RtpPacket

_WINDOW = 2048
"""A number that is further ahead begins a new stream."""
_ASK_AGAIN_S = 0.05
_MOST_ASKED = 64
"""In one go: who lost more needs a keyframe anyway."""


class Reorder:
    """What is behind a missing packet waits for it, `patience_s` at most. Times are time.monotonic()."""

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._next: int | None = None
        """The number of the packet that comes next, not wrapped."""
        self._highest = 0
        self._waiting: dict[int, RtpPacket] = {}
        self._missing: dict[int, tuple[float, float]] = {}
        """When it was missed, and when it may be asked for again."""

    @property
    def complete(self) -> bool:
        """Whether nothing waits for anything."""
        return not self._missing

    def put(self, packet: RtpPacket, now: float) -> list[RtpPacket | None]:
        """What is in order now that `packet` is there; None stands for packets that never came."""
        number = self._unwrapped(packet.sequence_number)
        if self._next is None:
            self._begin(number)
        elif number < self._next:
            return []
        elif number - self._next >= _WINDOW:
            self._begin(number)
            return [None, *self._put(number, packet, now)]
        return self._put(number, packet, now)

    def give_up(self, now: float) -> list[RtpPacket | None]:
        """What is in order now that nobody waits any more for what has been missing for long."""
        given: list[RtpPacket | None] = []
        while self._overdue(now):
            for number in range(self._next or 0, min(self._waiting)):
                self._missing.pop(number, None)
            self._next = min(self._waiting)
            given += [None, *self._in_order()]
        return given

    def wanted(self, now: float) -> list[int]:
        """Numbers, of 16 bits, to ask the sender for right now."""
        due = [number for number, (_, ask_at) in self._missing.items() if ask_at <= now][:_MOST_ASKED]
        for number in due:
            self._missing[number] = (self._missing[number][0], now + _ASK_AGAIN_S)
        return [number & 0xFFFF for number in due]

    def _begin(self, number: int) -> None:
        self._next, self._highest = number, number - 1
        self._waiting.clear()
        self._missing.clear()

    def _put(self, number: int, packet: RtpPacket, now: float) -> list[RtpPacket | None]:
        self._waiting[number] = packet
        self._missing.pop(number, None)
        for missed in range(self._highest + 1, number):
            self._missing[missed] = (now, now)
        self._highest = max(self._highest, number)
        return list(self._in_order())

    def _in_order(self) -> list[RtpPacket]:
        found = []
        while self._next is not None and (packet := self._waiting.pop(self._next, None)):
            found.append(packet)
            self._next += 1
        return found

    def _overdue(self, now: float) -> bool:
        if not self._waiting or self._next is None:
            return False
        missed_at, _ = self._missing.get(self._next, (now, now))
        return now - missed_at >= self._patience_s

    def _unwrapped(self, number: int) -> int:
        """The one nearest to what came before."""
        if self._next is None:
            return number + 0x10000  # so that what is older is not negative
        return self._highest + ((number - self._highest + 0x8000) & 0xFFFF) - 0x8000
