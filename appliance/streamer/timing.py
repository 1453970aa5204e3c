"""When each frame of one viewer was captured, encoded and sent: told in batches, to those who ask."""

import asyncio
import time
from collections.abc import Callable

from appliance.streamer.frames import EncodedFrame

_BATCH_S = 0.25
_BATCH_FRAMES = 128

Row = tuple[int, float, float, float, float]
"""RTP timestamp; by `box_ms` when it was captured; how long capture, encoding and the way out took, ms."""


def box_ms(at_ns: int | None = None) -> float:
    """The clock that viewers are told, in ms: now, or at a time of time.monotonic_ns()."""
    return round((time.monotonic_ns() if at_ns is None else at_ns) / 1e6, 2)


class FrameTimes:
    """Costs nothing while nobody asks; `tell` gets a batch at a time."""

    def __init__(self, tell: Callable[[list[Row]], None]) -> None:
        self.wanted = False
        self._tell = tell
        self._rows: list[Row] = []
        self._timer: asyncio.TimerHandle | None = None

    def sent(self, frame: EncodedFrame, timestamp: int) -> None:
        """`frame` was just handed to the network, with RTP timestamp `timestamp`."""
        if not self.wanted or len(self._rows) >= _BATCH_FRAMES:
            return
        capture = box_ms(frame.encode_start_ns - frame.captured_ns)
        encode = box_ms(frame.encoded_ns - frame.encode_start_ns)
        send = box_ms(time.monotonic_ns() - frame.encoded_ns)
        self._rows.append((timestamp, box_ms(frame.captured_ns), capture, encode, send))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_BATCH_S, self._flush)

    def stop(self) -> None:
        """Nobody asks any more."""
        self.wanted = False
        self._rows.clear()
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _flush(self) -> None:
        self._timer = None
        rows, self._rows = self._rows, []
        self._tell(rows)
