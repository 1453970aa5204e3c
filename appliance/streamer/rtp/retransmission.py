"""What a viewer that lost packets gets again: what it asks for, once in a round trip, within a budget."""

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from appliance.streamer import budget
from appliance.streamer.rtp.layout import PackedFrame

_FRAMES = 120
_SHORTEST_REPEAT_S = 0.02
_BUDGET_SHARE = 0.5
_BUDGET_LEAST = 24_000  # bytes; a stream that has been still may repair its first frame
_SEQUENCES = 1 << 16
_QUESTIONS_PER_S = 8192  # more than an honest viewer loses: to look a packet up costs as much as to send one


@dataclass(slots=True)
class SentFrame:
    """Packets of one frame that one viewer got at once; the payloads are everybody's."""

    first: int
    """Sequence number of the first of them, not wrapped."""
    packed: PackedFrame
    timestamp: int
    ntp: int
    """When they were sent."""
    transport_first: int
    """The transport-wide sequence number of the first of them, not wrapped."""
    start: int
    """The first of them is this one of the frame."""
    packets: int
    """How many they are."""
    again: dict[int, float] = field(default_factory=dict)
    """When packets were sent again, by index in the frame."""


class Budget:
    """Bytes of about the last second: those sent again are at most half of those sent."""

    def __init__(self) -> None:
        self._sent = self._again = 0.0
        self._then = 0.0

    def sent(self, octets: int, now: float) -> None:
        """Count a frame."""
        self._decay(now)
        self._sent += octets

    def spend(self, octets: int, now: float) -> bool:
        """Whether that much may be sent again; if so, it is counted."""
        self._decay(now)
        if self._again + octets > max(self._sent * _BUDGET_SHARE, _BUDGET_LEAST):
            return False
        self._again += octets
        return True

    def _decay(self, now: float) -> None:
        factor = math.exp(self._then - now)
        self._sent, self._again, self._then = self._sent * factor, self._again * factor, now


class History:
    """The last frames that one viewer got."""

    def __init__(self) -> None:
        self.repeated = 0
        """Packets that were given out again."""
        self.repeated_octets = 0
        self.refused = 0
        """Packets that a budget had no room for."""
        self._frames: deque[SentFrame] = deque(maxlen=_FRAMES)
        self._budget = Budget()
        self._questions = budget.Budget(_QUESTIONS_PER_S, 1 / _QUESTIONS_PER_S)

    def remember(self, frame: SentFrame, octets: int, now: float) -> None:
        """`frame` has been sent, right after the one before."""
        self._frames.append(frame)
        self._budget.sent(octets, now)

    def forget(self) -> None:
        """What was sent so far is of no use to the viewer any more."""
        self._frames.clear()

    def lost(self, sequences: Sequence[int], rtt: float, now: float) -> Iterator[tuple[SentFrame, int]]:
        """Of the packets with these sequence numbers those to be sent again now: frame and index in it."""
        if not self._questions.spend(len(sequences)):
            self.refused += len(sequences)
            return
        patience = max(rtt, _SHORTEST_REPEAT_S)
        for sequence in sequences:
            found = self._find(sequence)
            if found is None:
                continue
            frame, index = found
            if now - frame.again.get(index, -math.inf) < patience:
                continue
            if not self._budget.spend(len(frame.packed.payloads[index]), now):
                self.refused += 1
                continue
            frame.again[index] = now
            self.repeated += 1
            self.repeated_octets += len(frame.packed.payloads[index])
            yield frame, index

    def _find(self, sequence: int) -> tuple[SentFrame, int] | None:
        if not self._frames:
            return None
        newest = self._frames[-1]
        last = newest.first + newest.packets - 1
        wanted = last - (last - sequence) % _SEQUENCES
        low, high = 0, len(self._frames)
        while low < high:  # the last frame that begins at or before the wanted packet
            middle = (low + high) // 2
            if self._frames[middle].first <= wanted:
                low = middle + 1
            else:
                high = middle
        if not low:
            return None
        frame = self._frames[low - 1]
        return frame, frame.start + wanted - frame.first
