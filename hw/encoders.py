"""Encoders, each proved by encoding a frame in a process apart: a crashing driver takes only that down."""

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from hw.gpus import Gpu

logger = logging.getLogger(__name__)

Backend = Literal["pyav", "pixelflux"]
SESSIONS_TAKEN = "no NVENC session to spare"
"""In pixelflux's words for a GPU that encodes all that its driver, or its memory, allows at once."""
_SECONDS_PER_CANDIDATE = 15.0
_ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Candidate:
    """An encoder that may or may not work here."""

    name: str
    """`x264`, `libvpx`, `nvenc`, `vaapi`, `tegra`."""
    codec: Literal["H264", "VP8"]
    backend: Backend
    hardware: bool = False
    render_node: str = ""


@dataclass(frozen=True, slots=True)
class EncoderProbe:
    """What trying one encoder gave."""

    name: str
    codec: Literal["H264", "VP8"]
    backend: Backend
    hardware: bool
    works: bool
    detail: str = ""
    """How it went, for people: the time of a frame, or the exact cause of the failure."""
    milliseconds: float | None = None
    """Encoding time of one 640x360 frame."""
    render_node: str = ""
    reason: str = ""
    """Why it stands where it stands in a ladder; empty outside of one."""


def candidates(gpus: Sequence[Gpu]) -> list[Candidate]:
    """What is worth trying on a machine with `gpus`, best first."""
    tries: list[Candidate] = []
    for gpu in gpus:
        if gpu.vendor == "NVIDIA" and not gpu.pci:
            tries.append(Candidate("tegra", "H264", "pixelflux", hardware=True, render_node=gpu.render_node))
        elif gpu.driver == "nvidia" and gpu.render_node:
            tries.append(Candidate("nvenc", "H264", "pixelflux", hardware=True, render_node=gpu.render_node))
        elif gpu.render_node:
            tries.append(Candidate("vaapi", "H264", "pixelflux", hardware=True, render_node=gpu.render_node))
            tries.append(Candidate("vaapi", "VP8", "pixelflux", hardware=True, render_node=gpu.render_node))
    # It takes frames from main memory, so any NVIDIA GPU serves, also one without DRM nodes in a container.
    if nvidia := next((gpu for gpu in gpus if gpu.driver == "nvidia"), None):
        tries.append(Candidate("nvenc", "H264", "pyav", hardware=True, render_node=nvidia.render_node))
    return [*tries, Candidate("x264", "H264", "pyav"), Candidate("libvpx", "VP8", "pyav")]


async def probe_encoders(tries: Sequence[Candidate]) -> tuple[EncoderProbe, ...]:
    """Try every candidate, in order; one that crashes or hangs its process counts as not working.

    Raises OSError where nothing can be tried: the disk is full, or there are too many processes.
    """
    probes: list[EncoderProbe] = []
    while len(probes) < len(tries):
        pending = tries[len(probes) :]
        lines, failure = await _run(pending)
        probes += [EncoderProbe(**json.loads(line)) for line in lines]
        if len(lines) < len(pending):
            probes.append(failed(pending[len(lines)], failure))
    for probe in probes:
        logger.debug("encoder %s (%s): %s", probe.name, probe.backend, probe.detail)
    return tuple(probes)


def failed(candidate: Candidate, why: str) -> EncoderProbe:
    """The probe of a candidate that does not work."""
    return EncoderProbe(**asdict(candidate), works=False, detail=why)


async def _run(tries: Sequence[Candidate]) -> tuple[list[bytes], str]:
    """One `hw.probe` process; returns its result lines, and how it ended where some are missing."""
    lines: list[bytes] = []
    with await asyncio.to_thread(_runtime_directory) as runtime:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # nothing of the working directory, which may be anybody's
            "-m",
            "hw.probe",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            # pixelflux opens its compositor's socket there, apart from those of people.
            env=os.environ | {"XDG_RUNTIME_DIR": runtime, "PYTHONPATH": str(_ROOT)},
            process_group=0,
        )
        try:
            stdin, stdout = _pipes(process)
            stdin.write(json.dumps([asdict(each) for each in tries]).encode())
            stdin.close()
            for _ in tries:
                async with asyncio.timeout(_SECONDS_PER_CANDIDATE):
                    line = await stdout.readline()
                if not line:
                    break
                lines.append(line)
            else:
                return lines, ""
            code = await process.wait()
        except TimeoutError:
            return lines, f"no frame within {_SECONDS_PER_CANDIDATE:.0f} s"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.communicate()  # which lets go of its pipes as well
    return lines, f"the probe crashed: {_signal_name(-code)}" if code < 0 else f"the probe ended with {code}"


def _runtime_directory() -> tempfile.TemporaryDirectory[str]:
    """Below $XDG_RUNTIME_DIR if possible, which is in memory, whereas a disk may be full. Blocks."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    place = runtime if os.access(runtime, os.W_OK | os.X_OK) else None
    return tempfile.TemporaryDirectory(prefix="fanlight-probe-", dir=place)


def _pipes(process: asyncio.subprocess.Process) -> tuple[asyncio.StreamWriter, asyncio.StreamReader]:
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("started without pipes")
    return process.stdin, process.stdout


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
