"""Screens that pixelflux captures and encodes: with a GPU, on Wayland, or both."""

import asyncio
import os
import time
from collections.abc import Callable
from typing import Any

import pixelflux
import xcffib
import xcffib.xproto

from appliance.bus.spec import EncoderChoice, StreamerSpec
from appliance.errors import UnavailableError
from appliance.streamer.capture.compositor import ensure_compositor
from appliance.streamer.capture.encoder import EncoderRefusedError
from appliance.streamer.frames import VIDEO_CLOCK, Codec, EncodedFrame, SourceInfo

_START_SECONDS = 10.0
_HEALTH_SECONDS = 1.0
_DISPLAYS = {Codec.H264: 0, Codec.VP8: 1}
"""The compositor runs one capture on each of its displays: the second is a view of the first."""
_NAL_IDR, _NAL_SPS = 5, 7
_IDS = 1 << 16
"""Of frames, before they begin anew."""
_UNTRACKED = -2
"""What a frame refers to where the encoder does not tell."""


class PixelfluxSource:
    """A VideoSource over pixelflux.ScreenCapture. Runs once."""

    info: SourceInfo

    def __init__(self, spec: StreamerSpec, choice: EncoderChoice, reason: str = "") -> None:
        self.capture = pixelflux.ScreenCapture()
        """For input into Wayland."""
        self._spec = spec
        self._choice = choice
        self._reason = reason
        self._codec = Codec(choice.codec)
        self._display_id = _DISPLAYS[self._codec] if spec.kind == "command" else 0
        self._kbps = spec.bitrate_kbps
        self._running = False
        self._timestamp = 0
        self._number = 0

    async def run(self, deliver: Callable[[EncodedFrame], None], started: asyncio.Event) -> None:
        """See VideoSource.run."""
        loop = asyncio.get_running_loop()
        encodes = asyncio.Event()
        lobby = True

        def accept(frame: EncodedFrame) -> None:
            nonlocal lobby
            encodes.set()
            if started.is_set() and (frame.keyframe or not lobby):
                lobby = False
                deliver(frame)

        def on_frame(stripe: Any) -> None:  # in pixelflux's thread
            if len(stripe):
                loop.call_soon_threadsafe(accept, self._frame(stripe))

        try:
            await asyncio.to_thread(self._start, on_frame)
            self._running = True
            await self._first_frame(encodes)
            self.info = await asyncio.to_thread(self._describe)
            started.set()
            self.capture.request_idr_frame()
            while True:
                await asyncio.sleep(_HEALTH_SECONDS)  # of its end, pixelflux tells only who asks
                self._check()
        finally:
            self._running = False
            await asyncio.to_thread(self.capture.stop_capture)

    def request_keyframe(self) -> None:
        """See VideoSource.request_keyframe."""
        if self._running:
            self.capture.request_idr_frame()

    def refresh(self) -> None:
        """See VideoSource.refresh."""
        self.request_keyframe()

    def forget(self, number: int) -> None:
        """See ReferenceTracker.forget."""
        if self._running:
            self.capture.invalidate_reference(number % _IDS)

    def set_bitrate(self, kbps: int) -> None:
        """See VideoSource.set_bitrate."""
        self._kbps = kbps
        if self._running:
            self.capture.update_video_bitrate(kbps)

    def _start(self, on_frame: Callable[[Any], None]) -> None:
        screen = self._spec.screen
        width, height = screen.width, screen.height
        if self._spec.kind == "x11":
            width, height = self._x11_size()
        else:  # pixelflux has one for the screen of another compositor, too
            ensure_compositor(width, height, self._choice.render_node)
        settings = self._settings(width & ~1, height & ~1)
        try:
            if self._display_id:
                self._ensure_view(width & ~1, height & ~1)
            self.capture.start_capture(on_frame, settings)
        except (RuntimeError, ValueError) as exc:
            raise EncoderRefusedError(f"{self._choice.name}: {exc}") from exc
        self._check()

    def _settings(self, width: int, height: int) -> Any:
        choice = self._choice
        settings = pixelflux.CaptureSettings()
        settings.capture_width, settings.capture_height = width, height
        settings.target_fps = float(self._spec.screen.fps)
        settings.capture_cursor = True
        settings.use_wayland = self._spec.kind != "x11"
        if self._spec.kind == "wayland":
            settings.wayland_host_display = self._spec.display
        settings.display_id = self._display_id
        settings.codec = self._codec.lower()
        settings.video_fullframe = settings.omit_stripe_headers = True
        settings.video_cbr_mode = True
        settings.video_bitrate_kbps = self._kbps
        settings.use_cpu = not choice.hardware
        settings.cpu_encode_threading = False
        settings.encode_node_index = -2 if choice.hardware else -1
        if choice.render_node:
            settings.encode_node_path = settings.render_node_path = choice.render_node
        return settings

    def _x11_size(self) -> tuple[int, int]:
        """Of the display, which also becomes the one that pixelflux captures."""
        os.environ["DISPLAY"] = self._spec.display
        if self._spec.xauthority:
            os.environ["XAUTHORITY"] = self._spec.xauthority
        try:
            server = xcffib.connect(self._spec.display)
        except xcffib.XcffibException as exc:
            raise UnavailableError(f"display {self._spec.display}: no X server answers ({exc})") from exc
        screen: Any = server.get_setup().roots[server.pref_screen]
        server.disconnect()
        return screen.width_in_pixels, screen.height_in_pixels

    def _ensure_view(self, width: int, height: int) -> None:
        if not any(output[0] == self._display_id for output in self.capture.list_outputs()):
            self.capture.create_view(self._display_id, 0, 0, 0, width, height)

    async def _first_frame(self, encodes: asyncio.Event) -> None:
        try:
            async with asyncio.timeout(_START_SECONDS):
                await encodes.wait()
        except TimeoutError:
            self._check()
            raise EncoderRefusedError(f"{self._choice.name}: no frame in {_START_SECONDS:.0f} s") from None

    def _check(self) -> None:
        state, error = self.capture.capture_state(self._display_id)
        if state == "failed" or (self._running and state == "idle"):
            what = f"{self._spec.kind} {self._spec.display}".strip()
            kind = UnavailableError if self._running else EncoderRefusedError
            raise kind(f"{what}: pixelflux: {error or 'the capture ended'}")

    def _describe(self) -> SourceInfo:
        found = self.capture.stream_info()
        if found is None:
            raise EncoderRefusedError(f"{self._choice.name}: the capture ended at once")
        if self._choice.hardware and not found["hardware"]:
            raise EncoderRefusedError(f"{self._choice.name}: {found['encoder_reason'] or 'not used'}")
        if found["codec"] != self._codec.lower():
            raise EncoderRefusedError(f"{self._choice.name}: gives {found['codec']} instead of {self._codec}")
        geometry = self.capture.get_realized_geometry(self._display_id)
        width, height = geometry[:2] if geometry else self._x11_size()
        place = f"X11 {self._spec.display}" if found["backend"] == "x11" else "Wayland"
        if self._spec.kind == "wayland":
            place = f"Wayland {self._spec.display}"
        encoder = " ".join(part for part in (found["encoder"], found["gpu"]) if part)
        return SourceInfo(
            f"{place} {width}x{height} ({found['capture']})",
            encoder,
            self._reason,
            False,
            self._codec,
            width,
            height,
            scalable=False,
        )

    def _frame(self, stripe: Any) -> EncodedFrame:
        data = bytes(stripe)
        now = time.monotonic_ns()
        captured = stripe.capture_ns or now
        self._number += (stripe.frame_id - self._number) % _IDS
        tracked, reference = stripe.reference_frame_id > _UNTRACKED, stripe.reference_frame_id
        self._timestamp = max(self._timestamp + 1, captured * VIDEO_CLOCK // 1_000_000_000)
        return EncodedFrame(
            data,
            is_keyframe(self._codec, data),
            self._timestamp,
            captured,
            stripe.encode_start_ns or captured,
            stripe.encode_end_ns or now,
            self._number if tracked else None,
            self._number - (self._number - reference) % _IDS if reference >= 0 else None,
        )


def is_keyframe(codec: Codec, data: bytes) -> bool:
    """Whether decoding can begin here (H.264 Annex B; RFC 6386 section 9.1)."""
    if codec is Codec.VP8:
        return bool(data) and not data[0] & 1
    position = data.find(b"\0\0\1")
    while position >= 0 and position + 3 < len(data):
        kind = data[position + 3] & 31
        if kind in (_NAL_IDR, _NAL_SPS):
            return True
        if kind < _NAL_IDR:
            return False
        position = data.find(b"\0\0\1", position + 3)
    return False
