"""Orders to a capture thread, and its end."""

import asyncio
import select
import threading
from collections.abc import Callable

import pytest

from appliance.errors import UnavailableError
from appliance.streamer.capture.encoder import open_encoder
from appliance.streamer.capture.worker import Mailbox, Orders, ThreadedSource
from appliance.streamer.frames import Codec, EncodedFrame

pytestmark = pytest.mark.unit

FRAME = EncodedFrame(b"x", True, 1, 1, 1, 1)


class Echo(ThreadedSource):
    """Emits a frame for each keyframe order."""

    def __init__(self) -> None:
        super().__init__(open_encoder(Codec.H264, fps=30, kbps=1000))
        self.thread: threading.Thread | None = None

    def work(self, mailbox: Mailbox, emit: Callable[[EncodedFrame], None]) -> None:
        self.thread = threading.current_thread()
        waiting = select.poll()
        waiting.register(mailbox.fd, select.POLLIN)
        while not (orders := mailbox.take()).stop:
            if orders.kbps == 13:
                raise UnavailableError("unlucky")
            if orders.keyframe:
                emit(FRAME)
            waiting.poll()


def test_orders_add_up_and_are_taken_once() -> None:
    mailbox = Mailbox()
    mailbox.post(keyframe=True)
    mailbox.post(kbps=100)
    mailbox.post(kbps=200)
    assert mailbox.take() == Orders(stop=False, keyframe=True, frame=False, kbps=200)
    assert mailbox.take() == Orders(stop=False, keyframe=False, frame=False, kbps=None)
    mailbox.post(stop=True)
    assert mailbox.take().stop
    assert mailbox.take().stop
    mailbox.close()
    mailbox.post(keyframe=True)


async def test_frames_arrive_in_the_loop_and_cancelling_ends_the_thread() -> None:
    source = Echo()
    frames: asyncio.Queue[EncodedFrame] = asyncio.Queue()
    started = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(source.run(frames.put_nowait, started))
        source.request_keyframe()
        assert await frames.get() is FRAME
        assert started.is_set()
        task.cancel()
    assert source.thread is not None
    source.thread.join(1)
    assert not source.thread.is_alive()


async def test_what_fails_in_the_thread_fails_run() -> None:
    source = Echo()
    source.set_bitrate(13)
    with pytest.raises(UnavailableError, match="unlucky"):
        await source.run(lambda _: None, asyncio.Event())
