"""The files of recordings: their names, which of them are whole, and which have to go."""

import contextlib
import fcntl
import itertools
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

_NAME = re.compile(r"(?P<name>.+)-(?P<began>\d{8}T\d{6}\.\d{3})Z(?P<again>-\d+)?\.mkv(?P<part>\.part)?")
_TIME = "%Y%m%dT%H%M%S.%f"
_PART = ".part"
_NAME_CHARACTERS = 180
_FILE_MODE, _FOLDER_MODE = 0o640, 0o750
CLUSTER = b"\x1f\x43\xb6\x75"
"""Begins pictures and sound in Matroska (RFC 9559 section 5.1.3)."""
_HEAD_BYTES = 1 << 16
_SETTLED_S = 5.0
"""A file of that age has been claimed, if anybody is to claim it."""


class Shelf(StrEnum):
    """What was recorded; each has a folder of its own."""

    APPLICATION = "applications"
    CHANNEL = "channels"


@dataclass(frozen=True, slots=True)
class Recording:
    """A file as it stands; times are unix times."""

    file: Path
    shelf: Shelf
    name: str
    """Of the application, or of the channel."""
    began: float
    ended: float
    """When it was last written to."""
    size: int
    """Bytes."""
    running: bool
    """Whether it is still written, or was when a crash cut it off."""

    @property
    def finished_name(self) -> str:
        """The name that it has, or will have, once it is not written any more."""
        return self.file.name.removesuffix(_PART)


class Draft:
    """A file that is being written. Its lock tells it from one that a crash left behind."""

    def __init__(self, folder: Path, name: str, began: float) -> None:
        """Raises OSError."""
        for each in (folder.parent, folder):
            each.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        self._final, self._descriptor = _create(folder / _stem(name, began))
        self.file = _part_of(self._final)
        """Where to write."""

    @property
    def name(self) -> str:
        """Of the finished file."""
        return self._final.name

    def discard(self) -> None:
        """Nothing was written. Raises OSError."""
        try:
            self.file.unlink()
        finally:
            os.close(self._descriptor)

    def finish(self) -> None:
        """It is whole, or as whole as it gets. Raises OSError."""
        try:
            os.fsync(self._descriptor)
            self.file.rename(self._final)
        finally:
            os.close(self._descriptor)


def root_of(directory: str, state_dir: Path) -> Path:
    """Where recordings are; `directory` as it is configured."""
    return Path(directory) if directory else state_dir / "recordings"


def found(root: Path) -> list[Recording]:
    """Everything below `root`, the oldest first. Raises OSError."""
    return sorted(
        (each for shelf in Shelf for each in _in_folder(root / shelf, shelf)), key=lambda each: each.began
    )


def playable(each: Recording) -> bool:
    """Whether a picture is in it: a crash in its first second leaves none. Raises OSError."""
    with each.file.open("rb") as file:
        return CLUSTER in file.read(_HEAD_BYTES)


def began(file: Path) -> float:
    """The unix time in the name of a recording. Raises ValueError where there is none."""
    if named := _NAME.fullmatch(file.name):
        return _unix(named["began"])
    raise ValueError(f"{file.name} is no recording")


def recover(recordings: Iterable[Recording], now: float) -> Iterator[Recording]:
    """Those that a crash cut off, now named like others: they play as they are. Raises OSError.

    Where it came before the first picture was on the disk, the file goes.
    """
    for each in recordings:
        if not each.running or now - each.ended < _SETTLED_S:
            continue
        with contextlib.suppress(FileNotFoundError):  # finished meanwhile
            if _claimed(each.file):
                continue
            if not playable(each):
                each.file.unlink()
                continue
            yield replace(each, file=each.file.rename(each.file.with_suffix("")), running=False)


def surplus(
    recordings: Iterable[Recording], hours: Mapping[Shelf, int], most_bytes: int, now: float
) -> list[Recording]:
    """Those that have to go: too old for their kind, and then the oldest until the rest has room."""
    recordings = sorted(recordings, key=lambda each: each.began)
    going = [each for each in recordings if not each.running and each.ended < now - hours[each.shelf] * 3600]
    over = sum(each.size for each in recordings) - sum(each.size for each in going) - most_bytes
    for each in recordings:
        if over <= 0:
            break
        if not each.running and each not in going:
            going.append(each)
            over -= each.size
    return going


def _in_folder(folder: Path, shelf: Shelf) -> Iterator[Recording]:
    if not folder.is_dir():
        return
    for file in folder.iterdir():
        if named := _NAME.fullmatch(file.name):
            with contextlib.suppress(FileNotFoundError, ValueError):  # gone meanwhile, or none of ours
                status = file.stat()
                began = _unix(named["began"])
                running = bool(named["part"])
                yield Recording(file, shelf, named["name"], began, status.st_mtime, status.st_size, running)


def _unix(began: str) -> float:
    return datetime.strptime(began, _TIME).replace(tzinfo=UTC).timestamp()


def _stem(name: str, began: float) -> str:
    """Names of channels may be long, and begin with dots."""
    when = datetime.fromtimestamp(began, UTC).strftime(_TIME)[:-3]
    shown = name[:_NAME_CHARACTERS]
    return f"{'_' if shown.startswith('.') else ''}{shown}-{when}Z"


def _create(stem: Path) -> tuple[Path, int]:
    """A name that nobody has, and the open, locked file under it."""
    for number in itertools.count(1):
        final = stem.with_name(f"{stem.name}{f'-{number}' if number > 1 else ''}.mkv")
        if final.exists():
            continue
        with contextlib.suppress(FileExistsError):
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            descriptor = os.open(_part_of(final), flags, _FILE_MODE)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return final, descriptor
    raise AssertionError


def _part_of(final: Path) -> Path:
    return final.with_name(final.name + _PART)


def _claimed(file: Path) -> bool:
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
