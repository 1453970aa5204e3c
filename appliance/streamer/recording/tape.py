"""What is to be recorded, on its way to the disk: the event loop puts it in, a thread writes it to files."""

import logging
import os
import queue
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from av.error import FFmpegError

from appliance.errors import UnavailableError
from appliance.recordings import Draft
from appliance.streamer.frames import Codec, EncodedFrame
from appliance.streamer.recording.segment import Segment

logger = logging.getLogger(__name__)

_WAITING_BYTES = 64 << 20
_RESERVE_BYTES = 256 << 20
"""What stays free: the state of the box may live on the same disk."""
_LOOK_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class _Picture:
    frame: EncodedFrame
    codec: Codec
    begins: bool


@dataclass(frozen=True, slots=True)
class _Sound:
    opus: bytes
    at_ns: int


class Tape:
    """Files of recording `name` in `folder`, with a track of sound where there is to be one."""

    def __init__(
        self, folder: Path, name: str, *, sound: bool, opened: Callable[[str], None] = lambda _: None
    ) -> None:
        """`opened` is called with the name of every file, in the thread that writes."""
        self.file = ""
        """The name that the file being written will have."""
        self.fault = ""
        """Why there is an end to it; empty as long as there is none."""
        self._folder = folder
        self._name = name
        self._with_sound = sound
        self._opened = opened
        self._items: queue.SimpleQueue[_Picture | _Sound | None] = queue.SimpleQueue()
        self._put = self._written = 0
        self._segment: Segment | None = None
        self._looked_ns = 0

    def picture(self, frame: EncodedFrame, codec: Codec, *, begins: bool) -> None:
        """Never waits. The first one begins a file."""
        self._add(_Picture(frame, codec, begins), len(frame.data))

    def sound(self, opus: bytes, at_ns: int) -> None:
        """Never waits."""
        self._add(_Sound(opus, at_ns), len(opus))

    def end(self) -> None:
        """What was put in is still written."""
        self._items.put(None)

    def check(self) -> None:
        """Begin and discard a file, before anybody is asked for a keyframe. Raises UnavailableError."""
        try:
            draft = Draft(self._folder, self._name, time.time())
            try:
                self._look()
            finally:
                draft.discard()
        except OSError as exc:
            raise UnavailableError(self._why(exc)) from exc

    def write(self) -> None:
        """Until the end, in a thread of its own. Raises UnavailableError where the disk takes no more."""
        try:
            try:
                while item := self._items.get():
                    self._write(item)
            finally:
                self._close()
        except (OSError, FFmpegError) as exc:
            self.fault = self.fault or self._why(exc)
        if self.fault:
            raise UnavailableError(self.fault)

    def _add(self, item: _Picture | _Sound, size: int) -> None:
        if self.fault:
            return
        self._put += size
        if self._put - self._written > _WAITING_BYTES:
            self.fault = f"{self._folder}: the disk is too slow"
            self.end()
        else:
            self._items.put(item)

    def _write(self, item: _Picture | _Sound) -> None:
        match item:
            case _Picture(frame, codec, begins):
                if begins:
                    self._close()
                    self._segment = self._open(frame, codec)
                elif frame.captured_ns - self._looked_ns >= _LOOK_NS:
                    self._look()
                    self._looked_ns = frame.captured_ns
                if self._segment:
                    self._segment.picture(frame)
                self._written += len(frame.data)
            case _Sound(opus, at_ns):
                if self._segment:
                    self._segment.sound(opus, at_ns)
                self._written += len(opus)

    def _open(self, first: EncodedFrame, codec: Codec) -> Segment:
        began = time.time() - (time.monotonic_ns() - first.captured_ns) / 1e9
        draft = Draft(self._folder, self._name, began)
        try:
            segment = Segment(draft, codec, first, sound=self._with_sound)
        except BaseException:
            draft.discard()
            raise
        self.file = draft.name
        self._opened(draft.name)
        logger.info("recording %s", draft.name)
        return segment

    def _close(self) -> None:
        segment, self._segment, self.file = self._segment, None, ""
        if segment:
            segment.close()

    def _why(self, exc: OSError | FFmpegError) -> str:
        return f"{self._folder}: {exc.strerror or exc}"

    def _look(self) -> None:
        """Raises OSError where too little would be left."""
        disk = os.statvfs(self._folder)
        if disk.f_bavail * disk.f_frsize < _RESERVE_BYTES:
            raise OSError(f"less than {_RESERVE_BYTES >> 20} MiB are free")
