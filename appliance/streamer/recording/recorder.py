"""Records what an instance streams, as it is encoded for the viewers, and at the cost of one of them."""

import asyncio
import logging
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from appliance.errors import UnavailableError
from appliance.streamer.frames import EncodedFrame
from appliance.streamer.recording.cuts import SEGMENT_S, Cuts
from appliance.streamer.recording.sound_clock import SoundClock
from appliance.streamer.recording.tape import Tape
from appliance.streamer.tracks import Rendition, SoundFan, Subscription

logger = logging.getLogger(__name__)

_AGAIN_S = 15.0
_REMEMBERED = 1024
"""Files: a week of them."""


class Recorder:
    """Of one rendition, with `sound` where there is any. The stream never waits for it, nor ends with it."""

    def __init__(
        self,
        rendition: Rendition,
        sound: SoundFan | None,
        folder: Path,
        name: str,
        *,
        segment_s: float = SEGMENT_S,
        again_s: float = _AGAIN_S,
    ) -> None:
        self._segment_s = segment_s
        self._again_s = again_s
        self._rendition = rendition
        self._sound = sound
        self._folder = folder
        self._name = name
        self._tape: Tape | None = None
        self._problem = ""
        self.files: deque[str] = deque(maxlen=_REMEMBERED)
        """The names of the newest files."""

    @property
    def file(self) -> str:
        """The name of the file that is being recorded; empty where there is none."""
        return self._tape.file if self._tape else ""

    @property
    def problem(self) -> str:
        """Why nothing is recorded; empty where something is."""
        return "" if self.file else (self._tape.fault if self._tape else "") or self._problem

    @staticmethod
    async def check(folder: Path, name: str) -> None:
        """Raises UnavailableError where nothing could be written now."""
        await asyncio.to_thread(Tape(folder, name, sound=False).check)

    async def run(self) -> None:
        """Record until cancelled. What cannot be written is said, and tried again."""
        while True:
            try:
                await self._record()
            except UnavailableError as exc:
                if str(exc) != self._problem:
                    logger.warning("not recorded: %s", exc)
                self._problem = str(exc)
            except Exception:
                logger.exception("the recorder failed")
                self._problem = "internal error"
            await asyncio.sleep(self._again_s)

    async def _record(self) -> None:
        """On one tape. Raises UnavailableError where it cannot be written."""
        tape = Tape(self._folder, self._name, sound=self._sound is not None, opened=self.files.append)
        await asyncio.to_thread(tape.check)
        self._tape = tape
        threads = ThreadPoolExecutor(1, thread_name_prefix="recorder")
        writing = asyncio.get_running_loop().run_in_executor(threads, tape.write)
        try:
            async with asyncio.TaskGroup() as group:
                feeding = group.create_task(self._feed(tape))
                await asyncio.wait((writing,))
                feeding.cancel()
            writing.result()
        finally:
            tape.end()
            await asyncio.wait((writing,))
            threads.shutdown(wait=False)
            self._tape = None

    async def _feed(self, tape: Tape) -> None:
        """Frames are taken as they come: a loop that is behind must not lose any, which costs a keyframe."""
        cuts = Cuts(self._segment_s)
        subscription: Subscription | None = None

        def pump(_: EncodedFrame | None = None) -> None:
            info = self._rendition.info
            while subscription and info and (frame := subscription.take()):
                tape.picture(frame, info.codec, begins=cuts.begins(frame, info.codec))
            if cuts.wants_keyframe():
                self._rendition.request_keyframe()

        with self._rendition.subscribe(pump) as place:
            subscription = place
            pump()
            await self._feed_sound(tape)

    async def _feed_sound(self, tape: Tape) -> None:
        if self._sound is None:
            await asyncio.get_running_loop().create_future()
            return
        clock = SoundClock()
        with self._sound.subscribe() as packets:
            while True:
                packet = await packets.get()
                tape.sound(packet.data, clock.at_ns(packet, time.monotonic_ns()))
