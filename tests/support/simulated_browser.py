"""What a browser makes of the packets it gets, about as Chromium does it, in simulated time."""

import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

from aiortc.rate import RemoteBitrateEstimator

from appliance.streamer.rtp.transport_feedback import Feedback
from tests.support.wire import Wire, header, transport_sequence

_CLOCK_S = 1234.5
_TICK_US = 250
_AGAIN_S, _TIMES = 0.1, 10
_HEAD_BYTES = 24
_PADDED, _MARKER, _START = 0x20, 0x80, 0x80
_FU_A, _IDR, _KIND = 28, 5, 31


class Shown(NamedTuple):
    """A decoded frame."""

    at: float
    timestamp: int


class _Packet(NamedTuple):
    begins: bool
    ends: bool
    keyframe: bool
    timestamp: int


class Picture:
    """Decodes what can be decoded of the stream on `wire`; `ask` is called with what is missing."""

    def __init__(self, wire: Wire, ask: Callable[[Sequence[int]], None]) -> None:
        self.shown: list[Shown] = []
        self._wire = wire
        self._ask = ask
        self._packets: dict[int, _Packet] = {}
        self._newest: int | None = None
        self._decoded: int | None = None
        self._reported: int | None = None
        self._received = 0
        self._missing: dict[int, tuple[float, int]] = {}
        """When each was asked for last, and how often."""

    def receive(self, packet: bytes, now: float) -> None:
        first, kind, sequence, timestamp, ssrc = header(packet)
        payload = packet[_HEAD_BYTES:]
        if ssrc == self._wire.rtx_ssrc and not first & _PADDED:
            sequence, payload = int.from_bytes(payload[:2]), payload[2:]
        elif ssrc != self._wire.ssrc:
            return
        for lost in range(sequence if self._newest is None else self._newest + 1, sequence):
            self._missing[lost] = (-_AGAIN_S, 0)
        self._newest = max(self._newest or sequence, sequence)
        self._received += ssrc == self._wire.ssrc
        self._missing.pop(sequence, None)
        whole = payload[0] & _KIND != _FU_A
        begins, unit = whole or bool(payload[1] & _START), payload[0 if whole else 1] & _KIND
        self._packets[sequence] = _Packet(begins, bool(kind & _MARKER), unit == _IDR, timestamp)
        self._decode(now)
        self.nack(now)

    def report(self) -> float:
        """The share of packets that did not come at first, since the last report."""
        newest = self._newest or 0
        packets, self._reported = newest - (self._reported or newest), newest
        received, self._received = self._received, 0
        return max(0.0, 1 - received / packets) if packets else 0.0

    def nack(self, now: float) -> None:
        """Ask for what is missing; to be called every 20 ms."""
        due = [
            sequence
            for sequence, (asked, times) in self._missing.items()
            if now - asked >= _AGAIN_S and times < _TIMES
        ]
        for sequence in due:
            self._missing[sequence] = (now, self._missing[sequence][1] + 1)
        if due:
            self._ask(due)

    def _decode(self, now: float) -> None:
        while (found := self._next()) is not None:
            self._decoded, timestamp = found
            for kept in (self._packets, self._missing):
                for old in [sequence for sequence in kept if sequence <= self._decoded]:
                    del kept[old]
            self.shown.append(Shown(now, timestamp))

    def _next(self) -> tuple[int, int] | None:
        """Last packet and timestamp of the first frame that is complete and needs nothing that is missing."""
        for start in sorted(sequence for sequence, packet in self._packets.items() if packet.begins):
            if not self._packets[start].keyframe and start - 1 != self._decoded:
                continue
            for sequence in itertools.count(start):
                if sequence not in self._packets:
                    break
                if self._packets[sequence].ends:
                    return sequence, self._packets[start].timestamp
        return None


class Arrivals:
    """Tells when packets came (transport-wide feedback)."""

    def __init__(self) -> None:
        self._at: dict[int, float] = {}
        self._first: int | None = None
        self._messages = itertools.count()

    def note(self, packet: bytes, now: float) -> None:
        number = transport_sequence(packet)
        self._at[number] = now
        self._first = number if self._first is None else min(self._first, number)

    def message(self) -> Feedback | None:
        """About what is new; None where nothing is."""
        newest = max(self._at, default=-1)
        if self._first is None or newest < self._first:
            return None
        told = [self._said(self._at.get(number)) for number in range(self._first, newest + 1)]
        feedback = Feedback(next(self._messages) & 0xFF, self._first, told)
        self._first = newest + 1
        self._at = {number: at for number, at in self._at.items() if newest - number < 1000}
        return feedback

    @staticmethod
    def _said(arrival: float | None) -> int | None:
        return None if arrival is None else int((arrival + _CLOCK_S) * 1e6) // _TICK_US * _TICK_US


class OwnEstimate:
    """Receiver-side bandwidth estimation as in libwebrtc, which aiortc has rewritten: what REMB says."""

    def __init__(self) -> None:
        self._estimator = RemoteBitrateEstimator()

    def note(self, packet: bytes, sent: float, now: float) -> int | None:
        """A packet; bits per second, where it is time to tell."""
        abs_send_time = int(sent * (1 << 18)) & 0xFFFFFF
        said = self._estimator.add(int((now + _CLOCK_S) * 1000), abs_send_time, len(packet), 1)
        return said[0] if said else None
