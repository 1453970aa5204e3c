"""The microphone of a viewer, as a source of the sound server that applications record from.

The source is there while somebody speaks, as a microphone that is plugged in. That is while packets come:
our page agrees on its microphone as it joins, and may never switch it on. It reads from a pipe: a null sink
with its monitor would do the same, but might become the default output, and viewers hear themselves.
"""

import asyncio
import contextlib
import fcntl
import logging
import math
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from functools import cached_property
from pathlib import Path

import av
import av.error
from av.audio.codeccontext import AudioCodecContext

from appliance.errors import UnavailableError
from appliance.streamer.frames import AUDIO_CLOCK
from appliance.streamer.pulse import Pulse, connect, server_address

logger = logging.getLogger(__name__)

CHANNELS = 2
_SAMPLE_BYTES = 2 * CHANNELS
_PIPE_BYTES = 16384
"""85 ms: what nobody records must not become the delay of who does later."""
_HELD_PACKETS = 10
_GAP_MAX = AUDIO_CLOCK // 25
_PAUSE_SECONDS = 1.0
"""Who sends nothing for so long is switched off: even of silence that is not sent (DTX) there is a packet
every 0.4 s."""
_LINGER_SECONDS = 10.0
"""After the last packet: who takes over finds the applications still recording."""
_RETRY_SECONDS = 5.0
_NOBODY = "nobody speaks"


class Microphone:
    """Runs until cancelled. Where it cannot be had, `description` says why, and it is tried again."""

    def __init__(self, instance: str, pulse_server: str = "") -> None:
        self.name = f"fanlight_{instance}"
        """Of the source."""
        self.description = _NOBODY
        self.problem = ""
        """Why who speaks is not heard."""
        self._pulse_server = pulse_server
        # As it was at birth: the compositor moves XDG_RUNTIME_DIR.
        self._environ = dict(os.environ)
        self._speakers: list[Speaker] = []
        self._spoken = asyncio.Event()

    @contextlib.contextmanager
    def speaking(self, may: Callable[[], bool]) -> Iterator["Speaker"]:
        """Be heard, while one `may`, by saying something; of several the one who began last is."""
        speaker = Speaker(self._spoken.set, may)
        self._speakers.append(speaker)
        try:
            yield speaker
        finally:
            self._speakers.remove(speaker)

    async def run(self) -> None:
        """Have the source there while somebody speaks."""
        while True:
            while not self._heard:
                self._say(_NOBODY)
                self._spoken.clear()
                await self._spoken.wait()
            try:
                await self._serve()
            except UnavailableError as exc:
                self._say(str(exc), problem=True)
                await asyncio.sleep(_RETRY_SECONDS)

    @property
    def _heard(self) -> "Speaker | None":
        talking = (each for each in self._speakers if each.talks and each.may())
        return max(talking, key=lambda each: each.since, default=None)

    async def _serve(self) -> None:
        address = server_address(self._pulse_server, self._environ)
        kind, _, where = address.partition(":")
        if kind != "unix":
            raise UnavailableError(f"no microphone: the sound server at {address} has no folder to share")
        path = Path(where).with_name(self.name)
        async with connect(address) as pulse, _source(pulse, self.name, path):
            with _writing(path) as pipe:
                self._say(f"source {self.name}")
                await self._fill(pipe)

    async def _fill(self, pipe: int) -> None:
        """Until nobody has spoken for a while."""
        with contextlib.suppress(TimeoutError):
            while True:
                self._spoken.clear()
                if speaker := self._heard:
                    for sound in speaker.heard():
                        _write(pipe, sound)
                async with asyncio.timeout(_LINGER_SECONDS):
                    await self._spoken.wait()

    def _say(self, description: str, *, problem: bool = False) -> None:
        self.problem = description if problem else ""
        if description != self.description:
            self.description = description
            logger.info("microphone: %s", description)


class Speaker:
    """One viewer's voice: Opus in, samples out; what is lost in between is silence."""

    def __init__(self, spoken: Callable[[], None], may: Callable[[], bool]) -> None:
        self.may = may
        self.since = 0.0
        """When it began to talk, by the monotonic clock."""
        self._spoken = spoken
        self._said = -math.inf
        self._packets: list[tuple[bytes, int]] = []
        self._next: int | None = None

    @property
    def talks(self) -> bool:
        """Whether it said anything lately."""
        return time.monotonic() - self._said < _PAUSE_SECONDS

    def say(self, opus: bytes, timestamp: int) -> None:
        """One packet, with its RTP timestamp; the oldest go where nobody takes them."""
        if not self.talks:
            self.since = time.monotonic()
        self._said = time.monotonic()
        del self._packets[: 1 - _HELD_PACKETS]
        self._packets.append((opus, timestamp))
        self._spoken()

    def heard(self) -> Iterator[bytes]:
        """What was said since the last call: 16 bit, stereo, at AUDIO_CLOCK."""
        packets, self._packets = self._packets, []
        for opus, timestamp in packets:
            gap = 0 if self._next is None else (timestamp - self._next + 2**31) % 2**32 - 2**31
            if gap < -_GAP_MAX or gap > _GAP_MAX:
                gap = 0  # another stream, or a pause that is over
            if gap < 0:
                continue
            samples = self._decode(opus)
            self._next = (timestamp + len(samples) // _SAMPLE_BYTES) % 2**32
            yield bytes(gap * _SAMPLE_BYTES) + samples

    @cached_property
    def _decoder(self) -> AudioCodecContext:
        made = AudioCodecContext.create("libopus", "r")
        made.sample_rate, made.layout = AUDIO_CLOCK, "stereo"
        return made

    def _decode(self, opus: bytes) -> bytes:
        try:
            return b"".join(frame.to_ndarray().tobytes() for frame in self._decoder.decode(av.Packet(opus)))
        except av.error.FFmpegError as exc:
            logger.debug("a packet of the microphone is no Opus: %s", exc)
            return b""


@contextlib.asynccontextmanager
async def _source(pulse: Pulse, name: str, path: Path) -> AsyncIterator[None]:
    """A source that reads from the pipe `path`, which the server makes."""
    if left := await pulse.owner_of(name):
        await pulse.unload(left)  # of a streamer that was killed
    module = await pulse.load(
        "module-pipe-source",
        f'source_name={name} file="{path}" format=s16le rate={AUDIO_CLOCK} channels={CHANNELS} '
        "source_properties=\"device.description='Microphone of the viewer'\"",
    )
    try:
        yield
    finally:
        with contextlib.suppress(UnavailableError):
            await pulse.unload(module)


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[int]:
    try:
        pipe = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as exc:
        raise UnavailableError(f"no microphone: {path}: {exc.strerror}") from exc
    try:
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        yield pipe
    finally:
        os.close(pipe)


def _write(pipe: int, samples: bytes) -> None:
    """Dropped where nobody records. Raises UnavailableError where the server is gone."""
    try:
        os.write(pipe, samples)
    except BlockingIOError:
        return
    except OSError as exc:
        raise UnavailableError(f"no microphone: {exc.strerror}") from exc
