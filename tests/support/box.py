"""A whole box for tests and benchmarks: X server, counter, `fanlight run`, Chromium."""

import asyncio
import contextlib
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from appliance.control.client import ControlClient
from appliance.control.snapshot import Snapshot
from tests.support.ports import free_ports
from tests.support.x_server import start_server

ROOT = Path(__file__).parents[2]
PROBE = (Path(__file__).with_name("probe.js")).read_text()
CHROMIUM = (
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-quic", "--disable-extensions",
    "--autoplay-policy=no-user-gesture-required", "--ignore-certificate-errors",
)  # fmt: skip


@dataclass(slots=True)
class Running:
    """A program of the test; `lines` is its standard output as it comes."""

    process: asyncio.subprocess.Process
    lines: asyncio.Queue[str]

    async def line(self, pattern: str, seconds: float = 30) -> re.Match[str]:
        """The next line that matches; raises AssertionError with what came instead."""
        other: list[str] = []
        try:
            async with asyncio.timeout(seconds):
                while True:
                    text = await self.lines.get()
                    if found := re.search(pattern, text):
                        return found
                    other.append(text)
        except TimeoutError:
            raise AssertionError(f"no line {pattern!r} in {seconds} s, only {other[-20:]}") from None


@contextlib.asynccontextmanager
async def running(
    arguments: Sequence[str | Path], *, env: dict[str, str] | None = None, stderr: Path | None = None
) -> AsyncIterator[Running]:
    """Run a program in a process group of its own; TERM, then KILL on leaving."""
    log = stderr.open("ab") if stderr else None
    process = await asyncio.create_subprocess_exec(
        *map(str, arguments),
        env={**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})},
        cwd=ROOT,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=log or asyncio.subprocess.DEVNULL,
        process_group=0,
    )
    lines: asyncio.Queue[str] = asyncio.Queue()

    async def read() -> None:
        assert process.stdout
        async for raw in process.stdout:
            lines.put_nowait(raw.decode(errors="replace").rstrip())

    try:
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(read())
            try:
                yield Running(process, lines)
            finally:
                await end(process)
                reading.cancel()
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None  # of the test's body: the reader has none of its own
    finally:
        if log:
            log.close()


async def end(process: asyncio.subprocess.Process, seconds: float = 6) -> None:
    """TERM to the leader, KILL to the group when it takes longer than `seconds`."""
    if process.returncode is None:
        process.terminate()
    try:
        async with asyncio.timeout(seconds):
            await process.wait()
    except TimeoutError:
        os.killpg(process.pid, 9)
        await process.wait()


@contextlib.asynccontextmanager
async def x_server(width: int = 1280, height: int = 720) -> AsyncIterator[str]:
    """An Xvfb; yields its DISPLAY."""
    server = await asyncio.to_thread(start_server, width, height)
    try:
        yield server.display
    finally:
        await asyncio.to_thread(server.end)


@contextlib.asynccontextmanager
async def counter(display: str, *, log: Path | None = None, **options: str) -> AsyncIterator[Running]:
    """The counter on `display`, drawing."""
    arguments: list[str | Path] = [sys.executable, "-m", "tests.support.counter"]
    for name, value in options.items():
        arguments += [f"--{name}", value] if value else [f"--{name}"]
    if log:
        arguments += ["--log", log]
    async with running(arguments, env={"DISPLAY": display}) as drawing:
        await drawing.line("drawing")
        yield drawing


class Box:
    """A running daemon, and the command line that talks to it."""

    def __init__(self, directory: Path, process: Running, url: str) -> None:
        self.directory = directory
        self.running = process
        self.url = url

    @property
    def pid(self) -> int:
        """Of fanlightd."""
        return self.running.process.pid

    async def cli(self, *arguments: str) -> Any:
        """`fanlight ARGUMENTS --json`; raises AssertionError with what it said."""
        code, out, err = await fanlight(self.directory, *arguments, "--json")
        assert code == 0, f"{arguments}: {code}: {err}"
        return json.loads(out) if out.strip() else None

    @property
    def control(self) -> ControlClient:
        """A client of its control socket, as the command line is one."""
        return ControlClient(self.directory / "run" / "control.sock")

    async def snapshot(self) -> Any:
        """What `fanlight status --json` prints."""
        return (await self.control.call("snapshot", None, Snapshot)).model_dump(mode="json")

    async def until(self, question: str, seconds: float = 20) -> Any:
        """The first snapshot `s` of which `question` is true; raises AssertionError."""
        snapshot: Any = None
        try:
            async with asyncio.timeout(seconds):
                async for each in self.control.watch():
                    snapshot = each.model_dump(mode="json")
                    with contextlib.suppress(IndexError, TypeError):
                        if eval(question, {"s": snapshot}):  # noqa: S307
                            return snapshot
        except TimeoutError:
            last = snapshot and snapshot["instances"]
            raise AssertionError(f"never in {seconds} s: {question}; at last {last}") from None
        raise AssertionError


def configured(directory: Path, configuration: str) -> Path:
    """The file in `directory` that holds `configuration` now."""
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / "fanlight.toml"
    file.write_text(configuration)
    return file


async def fanlight(directory: Path, *arguments: str) -> tuple[int, str, str]:
    """`fanlight ARGUMENTS` of the box in `directory`: exit code, standard output and error."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "appliance", *arguments, *_directories(directory),
        cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


def _directories(directory: Path) -> tuple[str, ...]:
    return "--state-dir", str(directory / "state"), "--runtime-dir", str(directory / "run")


@contextlib.asynccontextmanager
async def box(
    directory: Path,
    configuration: str,
    *,
    env: dict[str, str] | None = None,
    prefix: Sequence[str] = (),
    verb: str = "run",
) -> AsyncIterator[Box]:
    """`fanlight run`, or `gateway`, with `configuration` (TOML); its log is in directory/log."""
    file = configured(directory, configuration)
    arguments = (
        *prefix, sys.executable, "-m", "appliance", verb, "--config", str(file), *_directories(directory)
    )  # fmt: skip
    async with running(arguments, env=env, stderr=directory / "log") as process:
        try:
            found = await process.line(r"^ready (\S+)", 60)
        except AssertionError as exc:
            raise AssertionError(f"{exc}\n{(directory / 'log').read_text()[-4000:]}") from None
        yield Box(directory, process, found[1])


def settings(**sections: str) -> str:
    """A small configuration on a free port, for one machine: `settings(video='fps = 30')`."""
    base = {
        "box": 'name = "test-box"',
        "gateway": f'listen = "0.0.0.0:{free_ports(1).start}"',
        "discovery": "enabled = false",
        "instances": 'listen = "127.0.0.1:0"',
    }
    return "\n".join(f"[{name}]\n{text}" for name, text in {**base, **sections}.items()) + "\n"


@contextlib.asynccontextmanager
async def chromium(
    executable: str | Path = "/usr/bin/chromium", options: Sequence[str] = ()
) -> AsyncIterator[Browser]:
    """Headless Chromium, with more options on its command line."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=executable, headless=True, args=[*CHROMIUM, *options]
        )
        try:
            yield browser
        finally:
            await browser.close()


@contextlib.asynccontextmanager
async def visitor(browser: Browser, **options: Any) -> AsyncIterator[BrowserContext]:
    """A person of their own: cookies, storage and the probe in every page."""
    context = await browser.new_context(ignore_https_errors=True, **options)
    await context.add_init_script(PROBE)
    try:
        yield context
    finally:
        await context.close()


async def comes_true(page: Page, condition: str, argument: object = None, seconds: float = 20) -> None:
    """Wait for an async function of the page to say yes; `wait_for_function` takes its promise for that."""
    async with asyncio.timeout(seconds):
        while not await page.evaluate(condition, argument):
            await asyncio.sleep(0.05)


DESKTOP = """
[[application]]
name = "desktop"
kind = "desktop"
autostart = true
env = { DISPLAY = "%s" }
size = "%s"
"""
"""Configuration of the desktop on a given display."""
