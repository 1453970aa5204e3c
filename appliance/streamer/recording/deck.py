"""Switches the recording of an instance on and off."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from appliance.bus.messages import Recorded, RecordOrder
from appliance.errors import ConflictError, UnavailableError
from appliance.streamer.frames import Codec
from appliance.streamer.recording.recorder import Recorder
from appliance.streamer.tracks import Rendition, SoundFan


class Deck:
    """Records the first of `renditions`, once there is one, with `sound` where there is any."""

    def __init__(
        self,
        renditions: Mapping[Codec, Rendition],
        sound: SoundFan | None,
        folder: Path,
        name: str,
        *,
        on: bool,
    ) -> None:
        self._renditions = renditions
        self._sound = sound
        self._folder = folder
        self._name = name
        self._on = on
        self._group: asyncio.TaskGroup | None = None
        self._recorder: Recorder | None = None
        self._recording: asyncio.Task[None] | None = None

    @property
    def file(self) -> str:
        """The name of the file that is being recorded; empty where there is none."""
        return self._recorder.file if self._recorder else ""

    @property
    def problem(self) -> str:
        """Why nothing is recorded; empty where something is, or nothing should be."""
        return self._recorder.problem if self._recorder else ""

    async def run(self) -> None:
        """Record, or not, until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            self.begin()
            await asyncio.Event().wait()

    def begin(self) -> None:
        """A rendition may have come: record it, if that is wanted and done by nobody yet."""
        rendition = next(iter(self._renditions.values()), None)
        if self._group and self._on and rendition and not self._recording:
            self._recorder = Recorder(rendition, self._sound, self._folder, self._name)
            self._recording = self._group.create_task(self._recorder.run())

    async def order(self, wanted: RecordOrder) -> Recorded:
        """Begin, or end and tell the files. Raises ConflictError, UnavailableError where none can be."""
        if wanted.on == self._on:
            raise ConflictError(f"{self._name} is {'recorded already' if self._on else 'not recorded'}")
        if not wanted.on:
            return Recorded(files=await self._end())
        if not self._renditions:
            raise UnavailableError(f"{self._name} has no picture yet")
        await Recorder.check(self._folder, self._name)
        self._on = True
        self.begin()
        return Recorded()

    async def _end(self) -> list[str]:
        recorder, recording = self._recorder, self._recording
        self._on, self._recorder, self._recording = False, None, None
        if not (recorder and recording):
            return []
        recording.cancel()
        await asyncio.wait((recording,))
        return list(recorder.files)
