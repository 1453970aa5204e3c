"""Where in a TOML text something is set, which tomllib does not tell."""

import re


def line_of(text: str, location: tuple[int | str, ...]) -> int | None:
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
