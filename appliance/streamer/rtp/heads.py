"""The heads of packets that lie side by side, written for one viewer after the other.

Column by column, since a loop over the packets took a tenth of all that a viewer costs.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from appliance.streamer.rtp.runs import RUN_PACKETS, Run

_SEQUENCE_AT, OWN_FROM = 2, 4
"""What follows the sequence number is the same in all packets of a frame: timestamp, source, extensions."""
_WRAPPED = (np.arange((1 << 16) + RUN_PACKETS) & 0xFFFF).astype(">u2")
"""Numbers of 16 bits as they are written, and again from zero for a run that begins with the last."""


class Heads:
    """Of all packets of a layout, in its `memory`; `octets` of each, from OWN_FROM on, are written."""

    def __init__(self, memory: bytearray, runs: Iterable[Run], octets: int) -> None:
        self.octets = octets
        self._memory, self._runs = memory, tuple(runs)
        self._sequences = self._column(_SEQUENCE_AT, ">u2")
        self._owns = self._column(OWN_FROM, np.dtype((np.void, octets)))
        self._numbers: dict[int, Sequence[NDArray[Any]]] = {}

    def write(self, sequence: int, own: bytes) -> None:
        """Sequence numbers from this one on, and the same octets behind each."""
        _count(self._sequences, sequence)
        for column in self._owns:
            column.fill(own)

    def number(self, at: int, first: int) -> None:
        """Transport-wide sequence numbers from `first` on, `at` this offset in each packet."""
        columns = self._numbers.get(at)
        if columns is None:
            columns = self._numbers[at] = self._column(at, ">u2")
        _count(columns, first)

    def _column(self, at: int, kind: Any) -> Sequence[NDArray[Any]]:
        return [
            np.ndarray((run.packets,), kind, self._memory, run.start + at, (run.size,)) for run in self._runs
        ]


def _count(columns: Iterable[NDArray[Any]], number: int) -> None:
    for column in columns:
        first, count = number & 0xFFFF, len(column)
        column[:] = _WRAPPED[first : first + count]
        number += count
