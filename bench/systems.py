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

SELKIES = "2.1.0"
SELKIES_VENV = ROOT / "bench" / "results" / "selkies-venv"


@dataclass(frozen=True, slots=True)
class Job:
    """What is streamed: a size in pixels, frames a second, kilobits a second."""

    display: str
    width: int = 1280
    height: int = 720
    fps: int = 30
    kbps: int = 4000

    @property
    def size(self) -> str:
        return f"{self.width}x{self.height}"


@contextlib.asynccontextmanager
async def fanlight(job: Job, scratch: Path) -> AsyncIterator[tuple[str, Box]]:
    """Fanlight on its defaults but for rate and size; the page is a share link."""
    video = f"fps = {job.fps}\nbitrate_kbps = {job.kbps}"
    configuration = settings(video=video) + DESKTOP % (job.display, job.size)
    async with box(scratch / f"box-{secrets.token_hex(3)}", configuration) as running_box:
        await running_box.until("s['instances'] and s['instances'][0]['state'] == 'running'")
        link = await running_box.cli("share", "desktop", "--role", "view")
        yield link["url"], running_box


@contextlib.asynccontextmanager
async def stock(job: Job) -> AsyncIterator[str]:
    """aiortc's own packet path (bench/stock.py)."""
    arguments = [
        sys.executable, "-m", "bench.stock", "--display", job.display, "--port", str(_port()),
        "--size", job.size, "--fps", str(job.fps), "--kbps", str(job.kbps),
    ]  # fmt: skip
    async with running(arguments) as server:
        yield (await server.line(r"^ready (\S+)"))[1]


@contextlib.asynccontextmanager
async def selkies(job: Job, scratch: Path) -> AsyncIterator[str]:
    """Selkies in WebRTC mode, software H.264, same source, size, rate and bitrate."""
    await _install_selkies()
    port = _port()
    options = {
        "mode": "webrtc", "addr": "127.0.0.1", "port": port, "framerate": job.fps, "video-bitrate": job.kbps,
        "encoder": "x264enc", "use-cpu": "true", "audio-enabled": "false", "enable-https": "false",
        "enable-basic-auth": "false", "enable-resize": "false", "manual-resolution": "true",
        "manual-width": job.width, "manual-height": job.height,
    }  # fmt: skip
    arguments = [str(SELKIES_VENV / "bin" / "selkies")]
    for name, value in options.items():
        arguments += [f"--{name}", str(value)]
    home = scratch / "selkies-home"
    home.mkdir(parents=True, exist_ok=True)
    env = {"DISPLAY": job.display, "HOME": str(home)}
    async with running(arguments, env=env, stderr=scratch / "selkies.log"):
        url = f"http://127.0.0.1:{port}/"
        await _until_answers(url)
        yield url


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
    return 41000 + secrets.randbelow(2000)
