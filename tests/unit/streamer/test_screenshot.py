"""A screenshot is a keyframe that is made for it, and fits through the bus."""

import asyncio
import base64
from collections.abc import Callable

import pytest

from appliance.errors import LimitExceededError, UnavailableError
from appliance.streamer.broadcast import Broadcast
from appliance.streamer.frames import Codec, EncodedFrame, SourceInfo
from appliance.streamer.screenshot import screenshot

pytestmark = pytest.mark.unit


class Still:
    """A still screen: frames come only when they are asked for, each one with its number."""

    def __init__(self, size: int = 3) -> None:
        self.info = SourceInfo("still", "none", "", False, Codec.VP8, 16, 16)
        self.number = 0
        self.size = size
        self._deliver: Callable[[EncodedFrame], None] = lambda _: None

    async def run(self, deliver: Callable[[EncodedFrame], None], started: asyncio.Event) -> None:
        self._deliver = deliver
        started.set()
        self.request_keyframe()
        await asyncio.Event().wait()

    def request_keyframe(self) -> None:
        self.number += 1
        data = bytes([self.number]) * self.size
        self._deliver(EncodedFrame(data, True, self.number, 0, 0, 0))

    def refresh(self) -> None:
        return

    def set_bitrate(self, kbps: int) -> None:
        return


async def taken(source: Still, times: int = 1) -> list[bytes]:
    broadcast = Broadcast(lambda: source, keyframe_floor_s=0.01)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(broadcast.run())
        try:
            pictures = [await screenshot({Codec.VP8: broadcast}) for _ in range(times)]
        finally:
            running.cancel()
    assert {each.codec for each in pictures} == {"VP8"}
    return [base64.b64decode(each.data) for each in pictures]


async def test_it_is_not_what_was_shown_before() -> None:
    first, second = await taken(Still(), times=2)
    assert first[0] < second[0]


async def test_a_picture_that_the_bus_would_not_carry_is_told() -> None:
    with pytest.RaisesGroup(pytest.RaisesExc(LimitExceededError, match="800000 bytes")):
        await taken(Still(800_000))


async def test_without_a_rendition_there_is_no_picture() -> None:
    with pytest.raises(UnavailableError):
        await screenshot({})
