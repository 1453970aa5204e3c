"""A daemon to talk to."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance import cli
from appliance.control.server import ControlServer
from tests.support.house import Fanlight, House


@pytest.fixture
def runtime(tmp_path: Path) -> Path:
    """A runtime dir where nobody listens."""
    return tmp_path / "run"


@pytest.fixture
def house(runtime: Path) -> Iterator[House]:
    """A daemon in a thread of its own, as the CLI runs loops of its own."""
    ready, box = threading.Event(), {}

    async def serve() -> None:
        box["house"], box["loop"], box["stop"] = House(), asyncio.get_running_loop(), asyncio.Event()
        started = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            task = group.create_task(ControlServer(box["house"], runtime / "control.sock").serve(started))
            await started.wait()
            ready.set()
            await box["stop"].wait()
            task.cancel()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert ready.wait(10)
    yield box["house"]
    box["loop"].call_soon_threadsafe(box["stop"].set)
    thread.join(10)


@pytest.fixture
def fanlight(runtime: Path, capsys: pytest.CaptureFixture[str]) -> Fanlight:
    """`fanlight(*args)` -> exit code, stdout, stderr."""

    def run(*args: str) -> tuple[int, str, str]:
        try:
            code = cli.main([*args, "--runtime-dir", str(runtime)])
        except SystemExit as exc:
            code = int(exc.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return run
