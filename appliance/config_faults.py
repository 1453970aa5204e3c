"""Faults of a configuration: in which file, on which line (tomllib does not tell), which key, and why."""

import re
from collections.abc import Mapping
from pathlib import Path


def fault(
    file: Path | None,
    text: str,
    origins: Mapping[str, str],
    location: tuple[int | str, ...],
    kind: str,
    message: str,
) -> str:
    """`file:line: key: reason`, or where else the value came from."""
    key = ".".join(str(part) for part in location)
    reason = "unknown key" if kind == "extra_forbidden" else message.removeprefix("Value error, ")
    return f"{place(file, text, origins, location)}: {key}: {reason}"


def syntax(file: Path | None, text: str, message: str) -> str:
    """`file:line: reason` of what tomllib says is no TOML."""
    reason, _, where = message.rpartition(" (at ")
    found = re.match(r"line (\d+)", where)
    line = int(found[1]) if found else max(1, len(text.splitlines()))
    return f"{file}:{line}: {reason}"


def place(file: Path | None, text: str, origins: Mapping[str, str], location: tuple[int | str, ...]) -> str:
    """`file:line` where `location` is set, or where else its value came from."""
    if origin := origins.get(".".join(str(part) for part in location)):
        return origin
    line = _line_of(text, location)
    return f"{file}:{line}" if line else f"{file or 'defaults'}"


def _line_of(text: str, location: tuple[int | str, ...]) -> int | None:
    """The line where `location` is set, or that of its table; None where neither is there."""
    table: tuple[int | str, ...] = ()
    counts: dict[str, int] = {}
    best: tuple[int, int] | None = None
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if found := re.match(r"^\[\[\s*([^\]]+?)\s*\]\]", line):
            name = found[1]
            counts[name] = counts.get(name, -1) + 1
            here = table = (*_keys(name), counts[name])
        elif found := re.match(r"^\[\s*([^\]]+?)\s*\]", line):
            here = table = _keys(found[1])
        elif found := re.match(r"^([A-Za-z0-9_.\"'-]+)\s*=", line):
            here = (*table, *_keys(found[1]))
        else:
            continue
        depth = len(here)
        if here == location[:depth] and (best is None or depth > best[0]):
            best = (depth, number)
    return best[1] if best else None


def _keys(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))
