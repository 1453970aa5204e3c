import asyncio
import contextlib
import os
import signal
from pathlib import Path

import pytest

from appliance.errors import UnavailableError
from appliance.processes import Child, child

pytestmark = pytest.mark.integration


def _alive(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


async def test_leaving_ends_the_child_and_its_children() -> None:
    script = "trap '' TERM; sleep 60 & echo $! >&2; wait"
    async with child(["sh", "-c", script], name="stubborn") as running:
        assert running.process.stderr
        grandchild = int(await running.process.stderr.readline())
        assert _alive(grandchild)
    assert running.process.returncode is not None
    assert not _alive(running.pid)
    async with asyncio.timeout(5):
        while _alive(grandchild):  # a killed orphan stays a zombie until init reaps it
            if " Z " in Path(f"/proc/{grandchild}/stat").read_text():
                break
            await asyncio.sleep(0)


async def test_a_stubborn_child_ends_with_the_task_that_is_cancelled() -> None:
    started: asyncio.Future[Child] = asyncio.get_running_loop().create_future()

    async def hold() -> None:
        async with child(["sh", "-c", "trap : TERM; echo >&2; while :; do sleep 1; done"], name="sh") as one:
            assert one.process.stderr
            await one.process.stderr.readline()
            started.set_result(one)
            await one.wait()

    async with asyncio.TaskGroup() as group:
        holding = group.create_task(hold())
        running = await started
        holding.cancel()
    assert running.process.returncode == -signal.SIGKILL
    assert not _alive(running.pid)


async def test_its_last_words_are_kept() -> None:
    async with child(["sh", "-c", "echo one >&2; echo two >&2; exit 3"], name="sh") as running:
        assert await running.wait() == 3
    assert running.last_words == "two"


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
