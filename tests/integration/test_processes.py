import asyncio
import contextlib
import os
import signal
from pathlib import Path

import pytest

from appliance.errors import UnavailableError
from appliance.processes import Child, child, our_module

pytestmark = pytest.mark.integration


def _alive(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


async def test_leaving_ends_the_child_and_its_children() -> None:
    script = "trap '' TERM; sleep 60 & echo $! >&2; wait"
    async with child(["sh", "-c", script], name="stubborn") as running:
        grandchild = int(await anext(running.lines()))
        assert _alive(grandchild)
    assert running.process.returncode is not None
    assert not _alive(running.pid)
    async with asyncio.timeout(5):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # reaped as we look
            while " Z " not in Path(f"/proc/{grandchild}/stat").read_text():  # init has not come to it yet
                await asyncio.sleep(0)


async def test_a_stubborn_child_ends_with_the_task_that_is_cancelled() -> None:
    started: asyncio.Future[Child] = asyncio.get_running_loop().create_future()

    async def hold() -> None:
        async with child(["sh", "-c", "trap : TERM; echo >&2; while :; do sleep 1; done"], name="sh") as one:
            await anext(one.lines())
            started.set_result(one)
            await one.wait()

    async with asyncio.TaskGroup() as group:
        holding = group.create_task(hold())
        running = await started
        holding.cancel()
    assert running.process.returncode == -signal.SIGKILL
    assert not _alive(running.pid)


async def test_a_child_that_is_cancelled_as_it_starts_leaves_nothing_open() -> None:
    async def hold() -> None:
        async with child(["sleep", "60"], name="sleep"):
            await asyncio.Event().wait()

    before = len(list(Path("/proc/self/fd").iterdir()))
    for turns in range(8):
        async with asyncio.TaskGroup() as group:
            holding = group.create_task(hold())
            for _ in range(turns):
                await asyncio.sleep(0)
            holding.cancel()
        await asyncio.sleep(0)  # transports close in the turn after the one in which they are told to
    assert len(list(Path("/proc/self/fd").iterdir())) == before


async def test_its_last_words_are_kept() -> None:
    async with child(["sh", "-c", "echo one >&2; echo two >&2; exit 3"], name="sh") as running:
        assert await running.wait() == 3
    assert running.last_words == "two"


async def test_its_end_is_noticed_whoever_else_keeps_its_pipe_open() -> None:
    script = "setsid sleep 60 & echo $! >&2; exit 3"
    async with asyncio.timeout(10):
        async with child(["sh", "-c", script], name="sh") as running:
            assert await running.wait() == 3
            daemon = int(running.last_words)
    with contextlib.suppress(ProcessLookupError):  # where it was ended before it had a session of its own
        os.kill(daemon, signal.SIGKILL)


async def test_what_a_launcher_leaves_behind_lives_on_for_it() -> None:
    script = "sleep 60 >/dev/null 2>&1 & echo $! >&2"
    async with (
        asyncio.timeout(10),
        child(["sh", "-c", script], name="sh") as running,
        asyncio.TaskGroup() as group,
    ):
        waiting = group.create_task(running.wait_for_all())
        assert await running.process.wait() == 0
        done, _ = await asyncio.wait((waiting,), timeout=0.3)
        assert not done
        os.kill(int(running.last_words), signal.SIGKILL)
        assert await waiting == 0


async def test_what_a_launcher_leaves_behind_is_asked_to_end(tmp_path: Path) -> None:
    saved = tmp_path / "saved"
    program = (
        f"trap 'sleep 0.2; echo saved > {saved}; exit' TERM; echo ready >&2; while :; do sleep 0.05; done"
    )
    async with asyncio.timeout(10), child(["sh", "-c", f"({program}) &"], name="sh") as running:
        assert await anext(running.lines()) == "ready"
        assert await running.process.wait() == 0
    assert saved.read_text() == "saved\n"


async def test_a_program_that_fails_has_ended_though_its_helper_has_not() -> None:
    async with asyncio.timeout(10), child(["sh", "-c", "sleep 60 & kill -9 $$"], name="sh") as running:
        assert await running.wait_for_all() == -signal.SIGKILL


async def test_a_missing_program_is_named() -> None:
    with pytest.raises(UnavailableError, match="'no-such-program'"):
        async with child(["no-such-program"], name="x"):
            pass


async def test_a_child_does_not_get_what_is_for_the_daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NOTIFY_SOCKET", "CREDENTIALS_DIRECTORY", "FANLIGHT_ICE_TURN_SECRET"):
        monkeypatch.setenv(name, "hush")
    monkeypatch.setenv("LANG", "C.UTF-8")
    async with child(["sh", "-c", "env >&2"], name="sh") as running:
        await running.wait()
    assert "LANG=C.UTF-8" in running.tail
    assert not [line for line in running.tail if "hush" in line]


async def test_modules_of_ours_are_not_those_of_the_folder_that_one_happens_to_be_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("appliance.py", "asyncio.py"):
        (tmp_path / name).write_text("raise SystemExit('not ours')")
    monkeypatch.chdir(tmp_path)
    async with child([*our_module("appliance"), "--version"], name="ours", both=True) as running:
        assert await running.wait() == 0, running.last_words
    assert running.last_words.startswith("fanlight ")
