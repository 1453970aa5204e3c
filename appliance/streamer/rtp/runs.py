"""Packets of equal size side by side, which the kernel takes as one datagram to be segmented."""

from collections.abc import Sequence
from typing import NamedTuple

_RUN_BYTES = 65_000  # of one UDP datagram, before it is segmented
RUN_PACKETS = 64  # UDP_MAX_SEGMENTS of Linux


class Run(NamedTuple):
    """Protected packets that lie side by side, all of `size` bytes but the last, which may be smaller."""

    start: int
    end: int
    size: int
    packets: int


def runs_of(packets: Sequence[tuple[int, int]], sizes: Sequence[int]) -> list[Run]:
    """Of packets at these offsets (with their lengths in clear) that take so much each."""
    runs: list[Run] = []
    first = 0
    while first < len(sizes):
        size = sizes[first]
        stop, most = first + 1, min(len(sizes), first + min(RUN_PACKETS, _RUN_BYTES // size))
        while stop < most and sizes[stop] == size:
            stop += 1
        if stop < most and sizes[stop] < size:
            stop += 1
        runs.append(Run(packets[first][0], packets[stop - 1][0] + sizes[stop - 1], size, stop - first))
        first = stop
    return runs
