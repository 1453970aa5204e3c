"""Puts the files of a recording into one file of a person's: nothing is encoded again."""

import contextlib
import itertools
import os
from collections.abc import Sequence
from pathlib import Path

import av
from av.container import OutputContainer
from av.error import FFmpegError
from av.stream import Stream

from appliance import recordings
from appliance.errors import InvalidInputError, RefusedError, UnavailableError

_FORMATS = {".mp4": "mp4", ".mkv": "matroska"}


def check(target: Path) -> None:
    """Whether it can be written. Raises InvalidInputError, RefusedError."""
    if target.suffix.lower() not in _FORMATS:
        raise InvalidInputError(f"{target}: a recording goes to a file that ends in .mp4 or .mkv")
    if not target.parent.is_dir():
        raise InvalidInputError(f"{target.parent} is no directory")
    if not os.access(target if target.exists() else target.parent, os.W_OK):
        raise RefusedError(f"{target} may not be written by you")


def remux(files: Sequence[Path], target: Path) -> list[Path]:
    """Write `target`, and `-2`... beside it where the picture changed its size; returns all of them.

    Raises RefusedError, InvalidInputError for a codec that the format does not have, UnavailableError.
    """
    if not files:
        raise UnavailableError(f"nothing was recorded: {target} is not written")
    written = []
    try:
        for number, (_, parts) in enumerate(itertools.groupby(files, _shape), 1):
            into = target.with_stem(f"{target.stem}-{number}") if number > 1 else target
            _write(list(parts), into)
            written.append(into)
    except PermissionError as exc:
        raise RefusedError(f"{exc.filename}: you may not; {_kept(files)}") from exc
    except InvalidInputError as exc:
        raise InvalidInputError(f"{target}: {exc}; {_kept(files)}") from exc
    except (OSError, FFmpegError) as exc:
        raise UnavailableError(f"{target}: {exc}; {_kept(files)}") from exc
    return written


def _kept(files: Sequence[Path]) -> str:
    return f"the recording is kept in {files[0].parent}"


def _shape(file: Path) -> object:
    """What must not change within a file."""
    with av.open(file) as tape:
        video = tape.streams.video[0]
        return video.width, video.height, [_header(each) for each in tape.streams]


def _header(stream: Stream) -> tuple[str, bytes | None]:
    return stream.codec_context.name, stream.codec_context.extradata


def _write(parts: Sequence[Path], target: Path) -> None:
    try:
        _join(parts, target)
    except BaseException:
        with contextlib.suppress(OSError):
            target.unlink(missing_ok=True)  # half of it plays nowhere
        raise


def _join(parts: Sequence[Path], target: Path) -> None:
    """Each at its time since the first, by the clock that named it."""
    origin = recordings.began(parts[0])
    streams: list[Stream] = []
    last: dict[int, int] = {}
    with av.open(target, "w", format=_FORMATS[target.suffix.lower()]) as joined:
        for part in parts:
            with av.open(part) as tape:
                streams = streams or [_added(joined, each) for each in tape.streams]
                for packet in tape.demux():
                    if packet.pts is None:
                        continue
                    track = packet.stream.index
                    since = round((recordings.began(part) - origin) / packet.time_base)
                    last[track] = max(packet.pts + since, last.get(track, -1) + 1)
                    packet.pts = packet.dts = last[track]
                    packet.stream = streams[track]
                    joined.mux_one(packet)


def _added(joined: OutputContainer, stream: Stream) -> Stream:
    name = stream.codec_context.name
    try:
        return joined.add_stream_from_template(stream)
    except ValueError as exc:
        raise InvalidInputError(f"{name} does not go into {joined.format.name}: name a .mkv file") from exc
