"""The sound of the box as Opus: what is played on the default output, never a microphone."""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Callable
from typing import Any

import pcmflux

from appliance.bus.beat import until_beat
from appliance.errors import UnavailableError
from appliance.streamer.frames import AUDIO_CLOCK
from appliance.streamer.pulse import Pulse, Source, connect, server_address
from appliance.streamer.talkspurts import EncodedAudio, Talkspurts

logger = logging.getLogger(__name__)

_BITS_PER_SECOND = 128_000
_COMPLEXITY = 5
_CHECK_SECONDS = 1.0
_REST_SECONDS = 3.0
_FIRST_RETRY = 1.0
_LAST_RETRY = 10.0
_HEADER_BYTES = 2
_ENDS = 0x80  # in the second byte of pcmflux's header: there is silence behind it


class AudioSource:
    """Captures until cancelled. Where there is no sound, `description` says why, and it is tried again.

    `exclusive`: nobody else listens to that server, so it rests while no program plays.
    """

    def __init__(
        self, source: str = "auto", pulse_server: str = "", frame_ms: int = 20, *, exclusive: bool = False
    ) -> None:
        self.description = "not started"
        self._frame_ms = frame_ms
        self._source = source
        self._pulse_server = pulse_server
        self._exclusive = exclusive
        # As it was at birth: the compositor moves XDG_RUNTIME_DIR, and we set PULSE_SERVER ourselves.
        self._environ = dict(os.environ)

    async def run(self, deliver: Callable[[EncodedAudio], None]) -> None:
        """Call `deliver` in the event loop for every packet, for ever."""
        talkspurts = Talkspurts(deliver, self._frame_ms)
        delay = _FIRST_RETRY
        while True:
            began = time.monotonic()
            try:
                await self._follow(server_address(self._pulse_server, self._environ), talkspurts)
            except UnavailableError as exc:
                self._say(str(exc))
            delay = _FIRST_RETRY if time.monotonic() - began > _LAST_RETRY else min(2 * delay, _LAST_RETRY)
            await asyncio.sleep(delay)

    async def _follow(self, address: str, talkspurts: Talkspurts) -> None:
        """Capture the wanted source, whichever it becomes."""
        async with connect(address) as pulse:
            os.environ["PULSE_SERVER"] = address  # pcmflux has no other way to be told
            await pulse.watch(programs=self._exclusive)
            while True:
                if source := await self._wanted(pulse):
                    await self._capture(pulse, source, talkspurts)
                else:
                    name = "no output" if self._source == "auto" else f"no source {self._source}"
                    self._say(f"the sound server has {name}")
                    await pulse.changed()

    async def _wanted(self, pulse: Pulse) -> Source | None:
        if self._source == "auto":
            return await pulse.monitor_of_default_sink()
        return await pulse.source(self._source)

    async def _capture(self, pulse: Pulse, source: Source, talkspurts: Talkspurts) -> None:
        """Capture `source` until another one is wanted. Raises UnavailableError when capturing fails."""
        outlet = _Outlet(talkspurts)
        capture = pcmflux.AudioCapture()
        try:
            await asyncio.to_thread(_start, capture, source, self._frame_ms, outlet)
            talkspurts.start()
            rest = _Rest(pulse, talkspurts) if self._exclusive else None
            while True:
                # A server moves a recording when its source goes away, to a microphone for want of better:
                # nothing passes until it is certain that this has not happened.
                if await self._wanted(pulse) != source or await pulse.recorded_by(os.getpid()) - {
                    source.index
                }:
                    return
                outlet.open()
                self._say(f"opus 48 kHz from {source.name}")
                if rest:
                    await rest.look()
                await self._changed(pulse, capture, rest)
                outlet.hold()
        finally:
            outlet.hold()
            talkspurts.stop()
            await asyncio.to_thread(capture.stop_capture)

    async def _changed(self, pulse: Pulse, capture: Any, rest: "_Rest | None") -> None:
        """Return when the server reports a change. Raises UnavailableError when pcmflux has given up."""
        while True:
            if capture.state == "failed":
                raise UnavailableError(f"sound capture failed: {capture.last_error}")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(until_beat(_CHECK_SECONDS)):
                    return await pulse.changed()
            if rest and not rest.on:
                await rest.look()

    def _say(self, description: str) -> None:
        if description != self.description:
            self.description = description
            logger.info("sound: %s", description)


class _Rest:
    """A server that stands still while no program plays costs nothing, and no beginning is missed by it."""

    def __init__(self, pulse: Pulse, talkspurts: Talkspurts) -> None:
        self._pulse = pulse
        self._talkspurts = talkspurts
        self.on: bool | None = None
        """None: not known, a streamer before this one may have ended in the middle of it."""
        self._idle_since: float | None = None

    async def look(self) -> None:
        """Begin where no program has played for a while, end where one plays."""
        if await self._pulse.plays():
            self._idle_since = None
            if self.on is not False:
                await self._pulse.suspend(rest=False)
                self.on = False
                self._talkspurts.start()  # the count of samples stood still, too
        elif self._idle_since is None:
            self._idle_since = time.monotonic()
        elif not self.on and time.monotonic() - self._idle_since > _REST_SECONDS:
            await self._pulse.suspend(rest=True)
            self.on = True


class _Outlet:
    """From pcmflux's thread into the event loop; what comes while it is held waits for the next opening."""

    def __init__(self, talkspurts: Talkspurts) -> None:
        self._held: list[tuple[bytes, int]] | None = []
        self._talkspurts = talkspurts
        self._loop = asyncio.get_running_loop()

    def __call__(self, frame: Any) -> None:
        """Take one chunk; `pts` counts samples from the start of this capture."""
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._take, bytes(frame), frame.pts)

    def open(self) -> None:
        """Let everything through."""
        held, self._held = self._held or [], None
        for chunk, pts in held:
            self._take(chunk, pts)

    def hold(self) -> None:
        """Let nothing through."""
        self._held = self._held or []

    def _take(self, chunk: bytes, pts: int) -> None:
        if self._held is not None:
            self._held.append((chunk, pts))
        elif opus := chunk[_HEADER_BYTES:]:
            self._talkspurts.sound(opus, pts, ends=bool(chunk[1] & _ENDS))


def _start(capture: Any, source: Source, frame_ms: int, outlet: _Outlet) -> None:
    settings = pcmflux.AudioCaptureSettings()
    settings.device_name = source.name
    settings.sample_rate, settings.channels = AUDIO_CLOCK, 2
    settings.frame_duration_ms = settings.latency_ms = frame_ms
    settings.opus_bitrate, settings.opus_complexity = _BITS_PER_SECOND, _COMPLEXITY
    settings.use_silence_gate = True
    try:
        capture.start_capture(settings, outlet)
    except (RuntimeError, ValueError) as exc:
        raise UnavailableError(f"sound capture from {source.name} failed: {exc}") from exc
