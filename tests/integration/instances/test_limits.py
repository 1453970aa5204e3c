"""Limits of instances, from the wish to the programs. A directory stands in for a control group."""

import os
import subprocess
from pathlib import Path

import pytest

from appliance.bus.messages import InstanceState
from appliance.instances.enforcers import ControlGroups
from appliance.instances.instance import Wish
from appliance.instances.limits import Confinement, Limits, Nobody
from tests.support.ams import office, with_applications
from tests.support.gateway import until

pytestmark = pytest.mark.integration

WRITE = ["sh", "-c", 'echo "$CONFINED" > "$OUT"; [ "$CONFINED" ] || exec sleep 60']


class Within:
    """Sets a variable, and says in the end that a limit was reached."""

    description = "enforced by the test"

    def __init__(self) -> None:
        self.asked: list[Limits] = []

    def confine(self, instance: str, limits: Limits) -> Confinement:
        self.asked.append(limits)
        return Confinement(["env", "CONFINED=yes"], lambda: "the limit of its memory was reached")


def group(root: Path, *pids: int, controllers: str = "cpu io memory") -> ControlGroups:
    (root / "cgroup.controllers").write_text(controllers)
    (root / "cgroup.procs").write_text("".join(f"{pid}\n" for pid in pids))
    return ControlGroups(root)


def test_a_program_joins_its_group_before_it_begins(tmp_path: Path) -> None:
    prefix = group(tmp_path).confine("a1", Limits(cpus=1.5, memory=1 << 28)).prefix
    made = tmp_path / "instance-a1"
    assert (made / "cpu.max").read_text() == "150000 100000"
    assert (made / "memory.max").read_text() == str(1 << 28)
    out = subprocess.check_output(
        [*prefix, "sh", "-c", 'cat "$1"; echo "$2"', "-", made / "cgroup.procs", "a b"]
    )
    assert out == b"0\na b\n"
    (made / "cgroup.procs").unlink()
    made.rename(tmp_path / "gone")
    assert subprocess.run([*prefix, "true"], stderr=subprocess.DEVNULL, check=False).returncode, (
        "joins or ends"
    )


def test_our_own_processes_make_room(tmp_path: Path) -> None:
    group(tmp_path, os.getpid()).prepare()
    assert (tmp_path / "daemon" / "cgroup.procs").read_text() == str(os.getpid())
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+cpu +memory"


def test_a_group_that_others_are_in_or_that_controls_nothing_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="shared with process 1"):
        group(tmp_path, os.getpid(), 1).prepare()
    with pytest.raises(ValueError, match="no control of memory"):
        group(tmp_path, os.getpid(), controllers="cpu").prepare()
    assert not (tmp_path / "daemon").exists()


async def test_programs_run_within_their_limits_and_a_limit_that_ends_them_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    within = Within()
    monkeypatch.setattr("appliance.instances.outfit.find_enforcer", lambda: within)
    out = tmp_path / "out"
    application = {
        "name": "one",
        "kind": "command",
        "command": WRITE,
        "env": {"OUT": str(out)},
        "memory_mb": 64,
    }
    async with office(tmp_path, with_applications(application)) as here:
        instance = await here.manager.launch("one", Wish(streaming=False))
        await instance.ended.wait()
        assert out.read_text() == "yes\n"
        assert (instance.state, instance.detail) == (
            InstanceState.ERROR, "the limit of its memory was reached",
        )  # fmt: skip
        address = await here.launch("one", resources={"cpus": 0.5})
        failed = await here.until(address, "error")
        assert (failed["resources"]["cpus"], failed["resources"]["limits"]) == (0.5, "enforced by the test")
        assert failed["error_message"] == "the limit of its memory was reached"
    assert within.asked == [Limits(memory=1 << 26), Limits(cpus=0.5)]


async def test_where_nobody_enforces_limits_the_instance_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("appliance.instances.outfit.find_enforcer", lambda: Nobody("no cgroups"))
    out = tmp_path / "out"
    applications = (
        {"name": "one", "kind": "command", "command": WRITE, "env": {"OUT": str(out)}},
        {"name": "pattern", "kind": "test-pattern"},
    )
    async with office(tmp_path, with_applications(*applications)) as here:
        address = await here.launch("one", resources={"memory": 1 << 30})
        await until(out.exists)
        assert (await here.get(address))["resources"]["limits"] == "not enforced: no cgroups"
        assert "not enforced: no cgroups" in caplog.text
        address = await here.launch("pattern", resources={"memory": 1 << 30})
        assert "no program of its own" in (await here.get(address))["resources"]["limits"]
