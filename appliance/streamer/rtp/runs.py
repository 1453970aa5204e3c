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
    for (offset, _), size in zip(packets, sizes, strict=True):
        run = runs[-1] if runs else None
        if (
            run
            and size <= run.size
            and run.end - run.start == run.packets * run.size  # none smaller so far
            and run.packets < RUN_PACKETS
            and offset + size - run.start <= _RUN_BYTES
        ):
            runs[-1] = Run(run.start, offset + size, run.size, run.packets + 1)
        else:
            runs.append(Run(offset, offset + size, size, 1))
    return runs
