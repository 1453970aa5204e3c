import asyncio

import pytest

from appliance.streamer import timing
from appliance.streamer.frames import EncodedFrame
from appliance.streamer.timing import FrameTimes, Row

pytestmark = pytest.mark.unit

FRAME = EncodedFrame(b"", True, 0, 1_000_000, 3_500_000, 9_000_000)


async def test_frames_are_told_in_batches_and_only_while_somebody_asks() -> None:
    batches: asyncio.Queue[list[Row]] = asyncio.Queue()
    times = FrameTimes(batches.put_nowait)
    times.sent(FRAME, 1)
    times.wanted = True
    times.sent(FRAME, 2)
    times.sent(FRAME, 3)
    rows = await batches.get()
    assert [row[:4] for row in rows] == [(2, 1.0, 2.5, 5.5), (3, 1.0, 2.5, 5.5)]
    assert all(row[4] > 0 for row in rows)
    times.sent(FRAME, 4)
    times.stop()
    times.sent(FRAME, 5)
    assert (times._rows, times._timer, batches.qsize()) == ([], None, 0)


async def test_a_batch_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "_BATCH_S", 0)
    batches: asyncio.Queue[list[Row]] = asyncio.Queue()
    times = FrameTimes(batches.put_nowait)
    times.wanted = True
    for number in range(1000):
        times.sent(FRAME, number)
    assert len(await batches.get()) == 128
