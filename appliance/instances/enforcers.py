"""Limits by systemd, else by control groups of our own, else by nobody. Everything here blocks.

What is tried is proved by reading the limits back: a service manager or a kernel without the controllers
takes them in silence.
"""

import contextlib
import functools
import os
import shutil
import subprocess
import time
from pathlib import Path

from appliance.instances.limits import Confinement, Enforcer, Limits, Nobody

_PERIOD_US = 100_000
_PROBE_SECONDS = 5.0
_LEAVE_SECONDS = 1.0
_SYSTEMD = Path("/run/systemd/system")
"""There where systemd runs the machine (sd_booted(3))."""
_OWN = "daemon"
_READ_BACK = 'cd "/sys/fs/cgroup$(sed -n s/^0:://p /proc/self/cgroup)" && cat cpu.max memory.max'


def find_enforcer() -> Enforcer:
    """Whoever can keep programs within limits here."""
    faults = []
    for make in (_scopes, _control_groups):
        try:
            return make()
        except (OSError, ValueError, subprocess.TimeoutExpired) as exc:
            faults.append(str(exc))
    return Nobody("; ".join(faults))


class Scopes:
    """A transient scope of systemd for every program (systemd-run(1))."""

    description = "enforced by systemd"

    def confine(self, instance: str, limits: Limits) -> Confinement:
        """See Enforcer; a scope ends with its program."""
        prefix = ["systemd-run", "--scope", "--quiet", "--collect", f"--description=Fanlight {instance}"]
        if os.geteuid():
            prefix.append("--user")
        if limits.cpus:
            prefix += ["-p", f"CPUQuota={limits.cpus:.2%}"]
        if limits.memory:
            prefix += ["-p", f"MemoryMax={limits.memory}", "-p", "MemorySwapMax=0"]
        return Confinement([*prefix, "--"])

    def prove(self) -> None:
        """Raises OSError, ValueError, subprocess.TimeoutExpired."""
        command = [*self.confine("probe", Limits(1, 1 << 30)).prefix, "sh", "-c", _READ_BACK]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PROBE_SECONDS, check=False)
        if done.stdout.split() != [str(_PERIOD_US), str(_PERIOD_US), str(1 << 30)]:
            raise ValueError(f"systemd-run: {(done.stderr or done.stdout).strip() or done.returncode}")


class ControlGroups:
    """A cgroup v2 for every instance, below `root`, which is ours alone (cgroups(7), delegation)."""

    description = "enforced by cgroups"

    def __init__(self, root: Path) -> None:
        self._root = root

    def confine(self, instance: str, limits: Limits) -> Confinement:
        """See Enforcer; a program joins before it becomes what it is, with all that it will start."""
        group = self._root / f"instance-{instance}"
        group.mkdir(exist_ok=True)
        if limits.cpus:
            (group / "cpu.max").write_text(f"{round(limits.cpus * _PERIOD_US)} {_PERIOD_US}")
        if limits.memory:
            (group / "memory.max").write_text(str(limits.memory))
            with contextlib.suppress(OSError):  # a kernel without swap accounting
                (group / "memory.swap.max").write_text("0")
        join = ["sh", "-c", 'echo 0 > "$0" && exec "$@"', str(group / "cgroup.procs")]
        return Confinement(join, functools.partial(_end, group))

    def prepare(self) -> None:
        """Make room for groups beside our own processes, since only leaves may have any.

        Raises OSError, ValueError.
        """
        missing = {"cpu", "memory"} - set((self._root / "cgroup.controllers").read_text().split())
        if missing:
            raise ValueError(f"{self._root} has no control of {' and '.join(sorted(missing))}")
        pids = (self._root / "cgroup.procs").read_text().split()
        if strangers := [pid for pid in pids if not _is_ours(int(pid))]:
            raise ValueError(f"{self._root} is shared with process {strangers[0]}")
        own = self._root / _OWN
        own.mkdir(exist_ok=True)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):  # it has just ended
                (own / "cgroup.procs").write_text(pid)
        (self._root / "cgroup.subtree_control").write_text("+cpu +memory")


def _scopes() -> Enforcer:
    if not (shutil.which("systemd-run") and _SYSTEMD.exists()):
        raise ValueError("systemd does not run this machine")
    scopes = Scopes()
    scopes.prove()
    return scopes


def _control_groups() -> Enforcer:
    mounts = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    mounted = [fields[4] for fields in mounts if fields[fields.index("-") + 1] == "cgroup2"]
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    path = next((line.removeprefix("0::/") for line in lines if line.startswith("0::/")), None)
    if not mounted or path is None:
        raise ValueError("no cgroup v2 on this machine")
    groups = ControlGroups(Path(mounted[0]) / path)
    groups.prepare()
    return groups


def _end(group: Path) -> str:
    """End what is left in `group`, and the group; returns why it ended, where that was its memory."""
    events = group / "memory.events"
    words = events.read_text().split() if events.exists() else []
    starved = dict(zip(words[::2], words[1::2], strict=True)).get("oom_kill", "0") != "0"
    (group / "cgroup.kill").write_text("1")
    give_up = time.monotonic() + _LEAVE_SECONDS
    while True:
        try:
            group.rmdir()
            break
        except OSError:  # busy, until the last of them is reaped
            if time.monotonic() > give_up:
                raise
            time.sleep(0.01)
    return "the limit of its memory was reached" if starved else ""


def _is_ours(pid: int) -> bool:
    """Whether `pid` is us or descends from us; what has ended is nobody's."""
    while pid not in (0, 1, os.getpid()):
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return True
        pid = int(stat.rpartition(")")[2].split()[1])
    return pid == os.getpid()
