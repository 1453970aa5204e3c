"""How control objects read to people: every state is a glyph and a word, and None is n/a."""

import re
from typing import Final

from appliance.bus.stats import InstanceStats
from appliance.control.credentials import ShareShown
from appliance.control.snapshot import Application, Encoder, Health, Instance, InstanceState, ViewerStats

NA: Final = "n/a"
_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?:in)?)?(?:(\d+)s?)?")
_SIZE = re.compile(r"(\d{2,4})x(\d{2,4})")

HEALTH: Final[dict[Health, tuple[str, str]]] = {
    "live": ("●", "LIVE"),
    "idle": ("○", "IDLE"),
    "degraded": ("▲", "DEGRADED"),
    "down": ("✗", "DOWN"),
}

INSTANCE: Final[dict[InstanceState, tuple[str, str]]] = {
    InstanceState.PREPARED: ("◌", "prepared"),
    InstanceState.STARTED: ("◔", "starting"),
    InstanceState.RUNNING: ("●", "running"),
    InstanceState.STOPPED: ("○", "stopped"),
    InstanceState.ERROR: ("✗", "error"),
}


def mark(ok: bool | None) -> str:
    """✓, ✗, or · where nothing was tried."""
    return "·" if ok is None else "✓" if ok else "✗"


def duration(seconds: float | None) -> str:
    """The two largest units: `3 d 4 h`, `2 min 5 s`; n/a where the time is not known."""
    if seconds is None:
        return NA
    left = max(0, int(seconds))
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {unit}")
        elif parts:
            break
    return " ".join(parts[:2]) or "0 s"


def number(value: float | None, unit: str = "", digits: int = 1) -> str:
    """`12.5 ms`; n/a where the value is not known."""
    if value is None:
        return NA
    return f"{value:.{digits}f}{' ' if unit else ''}{unit}"


def bitrate(kbps: float | None) -> str:
    """`7.9 Mb/s`, `640 kb/s`."""
    if kbps is None:
        return NA
    return f"{kbps / 1000:.1f} Mb/s" if kbps >= 1000 else f"{kbps:.0f} kb/s"


def amount(size: int) -> str:
    """Of bytes: `640 kB`, `1.2 GB`."""
    for unit, step in (("GB", 1e9), ("MB", 1e6)):
        if size >= step:
            return f"{size / step:.1f} {unit}"
    return f"{size / 1e3:.0f} kB"


def bitrate_of(kbps: float | None, target_kbps: int | None) -> str:
    """`7.9 of 8.0 Mb/s`."""
    if target_kbps is None:
        return bitrate(kbps)
    actual = NA if kbps is None else f"{kbps / 1000:.1f}"
    return f"{actual} of {target_kbps / 1000:.1f} Mb/s"


def rate_of(fps: float | None, target: int | None) -> str:
    """`59.8 of 60`."""
    actual = number(fps)
    return actual if target is None else f"{actual} of {target}"


def size(width: int | None, height: int | None) -> str:
    """`1920x1080`."""
    return f"{width}x{height}" if width and height else NA


def source(stats: InstanceStats) -> str:
    """`X11 :0 1920x1080`; why nothing is captured where that is known."""
    wanted = stats.viewers or stats.problem
    return stats.source or (NA if wanted else "asleep until somebody watches")


def encoder(instance: Instance) -> str:
    """`x264 (software)`; n/a until one runs."""
    stats = instance.stats
    if stats is None or not stats.encoder:
        return NA
    return f"{stats.encoder} (software)" if stats.software_fallback else stats.encoder


def kind(each: Application) -> str:
    """`command`; `channel, 2 viewers` of a camera that is there."""
    return f"{each.kind}, {one_or_many(each.viewers, 'viewer')}" if each.viewers else each.kind


def encoder_kind(each: Encoder) -> str:
    """Where the work is done."""
    return "hardware" if each.hardware else "software"


def viewer(each: ViewerStats) -> str:
    """Who it is: the label, else where it comes from, else its id."""
    return printable(each.label) or each.address or each.id


def shared(each: ShareShown) -> str:
    """What a link leads to: the application, else the session."""
    return each.application or each.session


def printable(text: str) -> str:
    """What a terminal is shown of what others said: the rest it would obey."""
    return "".join(each if each.isprintable() else " " for each in text)


def one_or_many(count: int, thing: str) -> str:
    """`1 viewer`, `2 viewers`."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def parse_duration(text: str) -> int:
    """Seconds of `90s`, `1h`, `1h30m`, `7d`, or bare seconds. Raises ValueError."""
    found = _DURATION.fullmatch(text.strip()) if text.strip() else None
    if not found:
        raise ValueError(f"{text!r} is not a duration like 90s, 30m, 1h or 7d")
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def parse_size(text: str) -> tuple[int, int]:
    """Width and height of `1280x720`. Raises ValueError."""
    found = _SIZE.fullmatch(text.strip().lower())
    if not found:
        raise ValueError(f"{text!r} is not a size like 1280x720")
    return int(found[1]), int(found[2])
