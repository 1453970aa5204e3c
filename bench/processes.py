"""CPU time of a process and of its children, and its memory, from /proc."""

import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(pid: int) -> float:
    """User and system time of `pid` so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def resident_bytes(pid: int) -> int:
    """Memory of `pid` that is resident."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES


def thread_seconds(pid: int) -> float:
    """The same of the threads that live, to the nanosecond."""
    spent = (task / "schedstat" for task in Path(f"/proc/{pid}/task").iterdir())
    return sum(int(each.read_text().split()[0]) for each in spent) / 1e9


def main_thread_seconds(pid: int) -> float:
    """The same of its main thread."""
    return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[0]) / 1e9


def family(pid: int) -> dict[int, str]:
    """`pid` and all that descend from it, with their names."""
    children: dict[int, list[int]] = {}
    names: dict[int, str] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / "stat").read_text()
            command = (entry / "cmdline").read_bytes().decode().split("\0")
        except OSError:
            continue
        parent = int(stat.rsplit(")", 1)[1].split()[1])
        children.setdefault(parent, []).append(int(entry.name))
        module = command[command.index("-m") + 1] if "-m" in command else ""
        names[int(entry.name)] = module or Path(command[0]).name
    found, waiting = {}, [pid]
    while waiting:
        each = waiting.pop()
        found[each] = names.get(each, "?")
        waiting += children.get(each, [])
    return found
