"""Sources that capture and encode in a thread of their own, steered from the event loop."""

import asyncio
import contextlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock

from av.video.frame import VideoFrame

from appliance.errors import UnavailableError
from appliance.streamer.capture.areas import Area
from appliance.streamer.capture.encoder import Encoder, open_encoder
from appliance.streamer.capture.second import SecondSource
from appliance.streamer.frames import EncodedFrame, SourceInfo

_SECOND_KBPS = 1000  # until it is steered


@dataclass(frozen=True, slots=True)
class Orders:
    """What the event loop wants of the thread since it last asked. `kbps` is None when unchanged."""

    stop: bool
    keyframe: bool
    frame: bool
    kbps: int | None


_NOTHING = Orders(stop=False, keyframe=False, frame=False, kbps=None)


class Mailbox:
    """Orders for a thread; `fd` becomes readable when there are any, so that the thread can poll(2)."""

    def __init__(self) -> None:
        self.fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._lock = Lock()
        self._posted = False
        self._stop = False
        self._keyframe = False
        self._frame = False
        self._kbps: int | None = None

    def post(
        self, *, stop: bool = False, keyframe: bool = False, frame: bool = False, kbps: int | None = None
    ) -> None:
        """Add to the orders and wake the thread."""
        with self._lock:
            self._stop |= stop
            self._keyframe |= keyframe
            self._frame |= frame
            self._kbps = self._kbps if kbps is None else kbps
            self._posted = True
            if self.fd >= 0:
                os.eventfd_write(self.fd, 1)

    def take(self) -> Orders:
        """The orders, taken once; only `stop` stays."""
        if not self._posted:  # what is posted at this very moment has made `fd` readable
            return _NOTHING
        with self._lock:
            self._posted = self._stop
            with contextlib.suppress(BlockingIOError):
                os.eventfd_read(self.fd)
            orders = Orders(self._stop, self._keyframe, self._frame, self._kbps)
            self._keyframe, self._frame, self._kbps = False, False, None
        return orders

    def close(self) -> None:
        """Later orders go nowhere."""
        with self._lock:
            os.close(self.fd)
            self.fd = -1


class Outlet:
    """How the thread hands over to the event loop."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        deliver: Callable[[EncodedFrame], None],
        started: Callable[[], object],
    ) -> None:
        self._loop = loop
        self._deliver = deliver
        self._started: Callable[[], object] | None = started

    def __call__(self, frame: EncodedFrame) -> None:
        """Never waits for the loop: when that is behind, the newest frame wins in the broadcast."""
        if self._started is not None:
            self._loop.call_soon_threadsafe(self._started)
            self._started = None
        self._loop.call_soon_threadsafe(self._deliver, frame)


class ThreadedSource:
    """A VideoSource whose `work` blocks in one thread until the mailbox says stop."""

    info: SourceInfo

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._mailbox = Mailbox()
        self._second: SecondSource | None = None

    async def run(self, deliver: Callable[[EncodedFrame], None], started: asyncio.Event) -> None:
        """See VideoSource.run. A source runs once."""
        loop = asyncio.get_running_loop()
        outlet = Outlet(loop, deliver, started.set)
        threads = ThreadPoolExecutor(1, thread_name_prefix=type(self).__name__)
        work = loop.run_in_executor(threads, self.work, self._mailbox, outlet)
        try:
            await asyncio.shield(work)
        finally:
            self._mailbox.post(stop=True)
            await asyncio.wait((work,))
            if self._second:
                self._second.end(UnavailableError("the source that it shares the pictures of has ended"))
            threads.shutdown(wait=False)
            self._mailbox.close()

    def request_keyframe(self) -> None:
        """See VideoSource.request_keyframe."""
        self._mailbox.post(keyframe=True)

    def refresh(self) -> None:
        """See VideoSource.refresh."""
        self._mailbox.post(frame=True)

    def set_bitrate(self, kbps: int) -> None:
        """See VideoSource.set_bitrate."""
        self._mailbox.post(kbps=kbps)

    def second(self) -> SecondSource:
        """A source of the same pictures, smaller; one at a time."""
        encoder = open_encoder(self._encoder.codec, fps=self._encoder.fps, kbps=_SECOND_KBPS)
        self._second = SecondSource(encoder, self._mailbox.post)
        return self._second

    def encode(
        self,
        picture: VideoFrame,
        captured_ns: int,
        emit: Callable[[EncodedFrame], None],
        *,
        keyframe: bool,
        changed: Sequence[Area] | None = None,
    ) -> EncodedFrame:
        """In the thread: encode and emit, then once more for the second source, if there is one."""
        frame = self._encoder.encode(picture, captured_ns, keyframe=keyframe, changed=changed)
        emit(frame)
        if second := self._second:
            second.encode(picture, captured_ns, self.info.source)
        return frame

    def work(self, mailbox: Mailbox, emit: Callable[[EncodedFrame], None]) -> None:
        """Set `info`, then capture, encode and emit until told to stop, in the source's own thread."""
        raise NotImplementedError
