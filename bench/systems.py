"""The systems under test, each behind the same door: a display in, the URL of a playing page out."""

import asyncio
import contextlib
import secrets
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from tests.support.box import DESKTOP, ROOT, Box, box, running, settings
from tests.support.ports import free_ports

NAMES = ("fanlight", "stock", "stock-pd", "gstreamer", "selkies")
VIEWERS = 1000
SELKIES = "2.1.0"
SELKIES_VENV = ROOT / "bench" / "results" / "selkies-venv"
GSTREAMER = ("/usr/bin/python3", ROOT / "bench" / "gstreamer.py")
"""Debian's interpreter: GStreamer's bindings are no wheel."""


@dataclass(frozen=True, slots=True)
class Job:
    """What is streamed: a size in pixels, frames a second, kilobits a second; `role` is the page's."""

    display: str
    width: int = 1280
    height: int = 720
    fps: int = 30
    kbps: int = 4000
    role: str = "view"
    per_process: int = 0
    """Viewers that one process of Fanlight serves; 0: as many as its core allows."""

    @property
    def size(self) -> str:
        return f"{self.width}x{self.height}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a system runs: the address of its page, and what its command begins with."""

    address: str = "127.0.0.1"
    prefix: tuple[str, ...] = ()


HERE = Place()


@dataclass(frozen=True, slots=True)
class System:
    """One that runs: the page that plays, the leader of its processes, the box where it is ours."""

    url: str
    pid: int
    box: Box | None = None


@contextlib.asynccontextmanager
async def system(name: str, job: Job, scratch: Path, place: Place = HERE) -> AsyncIterator[System]:
    """One of NAMES."""
    match name:
        case "fanlight":
            async with fanlight(job, scratch, place) as (url, own):
                yield System(url, own.pid, own)
        case "stock" | "stock-pd":
            extra = ("--playout-delay",) if name == "stock-pd" else ()
            command = (
                sys.executable,
                "-m",
                "bench.stock",
                "--display",
                job.display,
                "--size",
                job.size,
                *extra,
            )
            async with _server(command, job, place) as found:
                yield found
        case "gstreamer":
            async with _server(GSTREAMER, job, place) as found:
                yield found
        case "selkies":
            async with _selkies(job, scratch, place) as found:
                yield found
        case _:
            raise SystemExit(f"no system {name!r}; there are {', '.join(NAMES)}")


@contextlib.asynccontextmanager
async def fanlight(job: Job, scratch: Path, place: Place = HERE) -> AsyncIterator[tuple[str, Box]]:
    """Fanlight on its defaults but for rate and size; the page is a share link."""
    video = f"fps = {job.fps}\nbitrate_kbps = {job.kbps}"
    limits = f"viewers_per_process = {job.per_process}"
    kinesis = f"viewers_per_channel = {VIEWERS}"
    configuration = settings(video=video, limits=limits, kinesis=kinesis) + DESKTOP % (job.display, job.size)
    directory = scratch / f"box-{secrets.token_hex(3)}"
    async with box(directory, configuration, prefix=place.prefix) as running_box:
        await running_box.until("s['instances'] and s['instances'][0]['state'] == 'running'")
        link = await running_box.cli("share", "desktop", "--role", job.role)
        yield _at(str(link["url"]), place), running_box


def synthetic_gstreamer(job: Job) -> contextlib.AbstractAsyncContextManager[System]:
    """Its packets of slices of random bytes, without a screen; the page is no use."""
    return _server((*GSTREAMER, "--synthetic"), job, HERE)


def _at(url: str, place: Place) -> str:
    """The same page by the address of its place; here its own address serves."""
    if place == HERE:
        return url
    authority = url.split("/")[2]
    return url.replace(authority, f"{place.address}:{authority.rpartition(':')[2]}", 1)


@contextlib.asynccontextmanager
async def _server(command: tuple[str | Path, ...], job: Job, place: Place) -> AsyncIterator[System]:
    """A program that takes these arguments and says when it is ready."""
    arguments = [
        *place.prefix, *command, "--address", place.address, "--port", str(_port()),
        "--fps", str(job.fps), "--kbps", str(job.kbps),
    ]  # fmt: skip
    async with running(arguments, env={"DISPLAY": job.display}) as server:
        yield System((await server.line(r"^ready (\S+)"))[1], server.process.pid)


@contextlib.asynccontextmanager
async def _selkies(job: Job, scratch: Path, place: Place) -> AsyncIterator[System]:
    """Selkies in WebRTC mode, software H.264, same source, size, rate and bitrate."""
    await _install_selkies()
    port = _port()
    options = {
        "mode": "webrtc", "addr": place.address, "port": port, "framerate": job.fps,
        "video-bitrate": job.kbps, "encoder": "x264enc", "use-cpu": "true", "audio-enabled": "false",
        "enable-https": "false", "enable-basic-auth": "false", "enable-resize": "false",
        "manual-resolution": "true", "manual-width": job.width, "manual-height": job.height,
    }  # fmt: skip
    arguments = [*place.prefix, str(SELKIES_VENV / "bin" / "selkies")]
    for name, value in options.items():
        arguments += [f"--{name}", str(value)]
    home = scratch / "selkies-home"
    home.mkdir(parents=True, exist_ok=True)
    env = {"DISPLAY": job.display, "HOME": str(home)}
    async with running(arguments, env=env, stderr=scratch / "selkies.log") as server:
        url = f"http://{place.address}:{port}/"
        await _until_answers(url)
        yield System(url, server.process.pid)


async def _until_answers(url: str) -> None:
    async with asyncio.timeout(30), aiohttp.ClientSession() as http:
        while True:
            try:
                async with http.get(url):
                    return
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.1)


async def _install_selkies() -> None:
    """Into an environment of its own, kept between runs."""
    if (SELKIES_VENV / "bin" / "selkies").exists():
        return
    for arguments in (
        [sys.executable, "-m", "venv", str(SELKIES_VENV)],
        [str(SELKIES_VENV / "bin" / "pip"), "install", "-q", f"selkies=={SELKIES}"],
    ):
        process = await asyncio.create_subprocess_exec(*arguments)
        if await process.wait():
            raise RuntimeError(f"failed: {' '.join(arguments)}")


def _port() -> int:
    return free_ports(1).start
