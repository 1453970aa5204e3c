"""An X11 display, encoded in software as it changes. No tick: a still screen costs next to nothing."""

import select
import time
from collections.abc import Callable

from appliance.streamer.capture.areas import Area
from appliance.streamer.capture.cadence import Cadence
from appliance.streamer.capture.encoder import open_encoder
from appliance.streamer.capture.worker import Mailbox, ThreadedSource
from appliance.streamer.capture.x11_screen import X11Screen
from appliance.streamer.frames import Codec, EncodedFrame, SourceInfo


class X11Source(ThreadedSource):
    """XDamage -> MIT-SHM -> libyuv -> x264 or libvpx, all in one thread that waits for the X server.

    While an application may still be drawing what it began, what is there is captured already.
    """

    def __init__(
        self, display: str, *, xauthority: str = "", codec: Codec, fps: int, kbps: int, reason: str = ""
    ) -> None:
        super().__init__(open_encoder(codec, fps=fps, kbps=kbps))
        self._display = display
        self._xauthority = xauthority
        self._fps = fps
        self._reason = reason
        self._size = (0, 0)

    def work(self, mailbox: Mailbox, emit: Callable[[EncodedFrame], None]) -> None:
        """See ThreadedSource.work."""
        with X11Screen(self._display, self._xauthority) as screen:
            waiting = select.poll()
            waiting.register(screen.fileno(), select.POLLIN)
            waiting.register(mailbox.fd, select.POLLIN)
            cadence = Cadence(self._fps, time.monotonic())
            keyframe = True
            captured_ns = 0  # what is there, or what is asked for, has not been captured
            changed: list[Area] = []
            while True:
                orders = mailbox.take()
                if orders.stop:
                    return
                if orders.kbps is not None:
                    self._encoder.set_bitrate(orders.kbps)
                if orders.keyframe:
                    keyframe = True
                if orders.keyframe or orders.frame or (self._second and self._second.hurry):
                    cadence.forced(time.monotonic())
                    captured_ns = 0
                # Replies may have brought events along: those are in xcb's queue, and no descriptor says so.
                if screen.changed():
                    cadence.damaged(time.monotonic())
                    captured_ns = 0
                early_s = cadence.due - time.monotonic()
                if not captured_ns and (early_s <= 0 or cadence.drawing):
                    captured_ns = time.monotonic_ns()
                    changed += screen.capture()
                elif early_s > 0 and cadence.drawing:
                    time.sleep(early_s)  # poll(2) counts in milliseconds
                elif early_s > 0:
                    waiting.poll(early_s * 1000)
                if early_s > 0:
                    continue
                self._describe((screen.canvas.width, screen.canvas.height))
                picture = screen.canvas.picture
                frame = self.encode(picture, captured_ns, emit, keyframe=keyframe, changed=changed)
                cadence.captured(captured_ns / 1e9, len(frame.data))
                keyframe, captured_ns, changed = False, 0, []

    def _describe(self, size: tuple[int, int]) -> None:
        if size == self._size:
            return
        self._size = size
        width, height = size
        self.info = SourceInfo(
            f"X11 {self._display} {width}x{height}",
            self._encoder.name,
            self._reason,
            False,
            self._encoder.codec,
            width,
            height,
        )
