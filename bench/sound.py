"""Sound from a program's write to what headless Chromium plays, and what a loss of packets does to it.

`python -m bench.sound [--seconds 20] [--runs 3] [--loss 0,1] [--viewers 0] [--frame-ms 20]
[--systems fanlight,stock]`: bursts of a tone into one null sink of a PulseAudio; the browser plays into
another one, which is recorded.
"capture" is the part from the write to the first encoded packet, "buffer" the browser's; "heard" is the share
of the lost packets of a tone around which it is no pure tone, "else" that of any moments of it. Lost repeats
count as lost. Stock is the same through aiortc's sender, without redundancy, with nothing in pauses.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
from playwright.async_api import Page, async_playwright

from tests.support.box import CHROMIUM, end, running
from tests.support.ports import free_ports

RATE, FREQUENCY = 48_000, 440
TONE_S, PAUSE_S = 0.3, 0.2
SYSTEMS = {"fanlight": [], "stock": ["--stock"]}
_WARM_UP_S = 5
_BLOCK = RATE // 100
_LOUD = 0.02


@contextlib.asynccontextmanager
async def sound_server(directory: Path) -> AsyncIterator[str]:
    """A PulseAudio with nothing but two null sinks; yields its address."""
    socket = directory / "native"
    process = await asyncio.create_subprocess_exec(
        "pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no",
        "-L", f"module-native-protocol-unix socket={socket}",
        "-L", "module-null-sink sink_name=speakers", "-L", "module-null-sink sink_name=ears",
        env=os.environ | {"HOME": str(directory), "XDG_RUNTIME_DIR": str(directory)},
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with asyncio.timeout(10):
            while await _run("pactl", "info", address=f"unix:{socket}"):
                pass
        yield f"unix:{socket}"
    finally:
        await end(process)


async def _run(*command: str, address: str) -> int:
    null = asyncio.subprocess.DEVNULL
    environment = os.environ | {"PULSE_SERVER": address}
    process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=null, stderr=null)
    return await process.wait()


async def play(address: str, seconds: float) -> list[float]:
    """Bursts of a tone; returns when each was written, in seconds of the wall clock."""
    player = await asyncio.create_subprocess_exec(
        "pacat", "--raw", f"--rate={RATE}", "--channels=2", "--format=s16le", "--latency-msec=10",
        env=os.environ | {"PULSE_SERVER": address}, stdin=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert player.stdin
    tone = 12_000 * np.sin(2 * np.pi * FREQUENCY * np.arange(int(RATE * TONE_S)) / RATE)
    burst = np.repeat(tone.astype("<i2"), 2).tobytes()
    written, until = [], time.monotonic() + seconds
    while time.monotonic() < until:
        written.append(time.time())
        player.stdin.write(burst)
        await asyncio.sleep(TONE_S + PAUSE_S + random.uniform(0, 0.02))  # noqa: S311
    await end(player)
    return written


@contextlib.asynccontextmanager
async def ears(address: str) -> AsyncIterator[list[tuple[float, bytes]]]:
    """What is played into the sink of this name: pieces, and the wall clock in seconds at their ends."""
    heard: list[tuple[float, bytes]] = []
    recorder = await asyncio.create_subprocess_exec(
        "parec", "--raw", f"--rate={RATE}", "--channels=1", "--format=s16le", "--latency-msec=5",
        "--device=ears.monitor", env=os.environ | {"PULSE_SERVER": address},
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip

    async def listen() -> None:
        assert recorder.stdout
        while piece := await recorder.stdout.read(1 << 16):
            heard.append((time.time(), piece))

    async with asyncio.TaskGroup() as group:
        group.create_task(listen())
        yield heard
        await end(recorder)


@contextlib.asynccontextmanager
async def browser(address: str) -> AsyncIterator[Page]:
    """A page of a Chromium that plays into the ears."""
    env: dict[str, str | float | bool] = {**os.environ, "PULSE_SERVER": address, "PULSE_SINK": "ears"}
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=list(CHROMIUM), ignore_default_args=["--mute-audio"],
            env=env,
        )  # fmt: skip
        try:
            yield await chromium.new_page()
        finally:
            await chromium.close()


async def measure(system: str, loss: str, options: argparse.Namespace) -> dict[str, float]:
    """One run: latencies in ms, packets, and disturbances of the tone."""
    port = free_ports(1).start
    with tempfile.TemporaryDirectory() as directory:
        async with sound_server(Path(directory)) as address:
            command = [
                sys.executable, "-m", "bench.sound_page", "--pulse", address, "--port", str(port),
                "--loss", loss, "--viewers", str(options.viewers), "--frame-ms", str(options.frame_ms),
                *SYSTEMS[system],
            ]  # fmt: skip
            async with (
                running(command) as server,
                ears(address) as heard,
                browser(address) as page,
                aiohttp.ClientSession() as http,
            ):
                url = (await server.line(r"^ready (\S+)", 60))[1]
                await page.goto(url)
                await page.wait_for_function("() => window.pc?.connectionState === 'connected'")
                await play(address, _WARM_UP_S)
                before = await _counters(http, url, page)
                written = await play(address, options.seconds)
                after = await _counters(http, url, page)
    buffered, emitted = (
        after[f"jitterBuffer{key}"] - before[f"jitterBuffer{key}"] for key in ("Delay", "EmittedCount")
    )
    return analyse(heard, written, after["onsets"], after["lost"]) | {"buffer_ms": 1000 * buffered / emitted}


async def _counters(http: aiohttp.ClientSession, url: str, page: Page) -> Any:
    async with http.get(url + "result") as answer:
        return await answer.json() | await page.evaluate("inbound()")


def analyse(
    heard: list[tuple[float, bytes]], written: list[float], encoded: list[float], lost: list[float]
) -> dict[str, float]:
    """Onsets in `heard` against when they were written, and what is heard of the packets that were lost."""
    samples = np.frombuffer(b"".join(piece for _, piece in heard), "<i2") / 32768
    ends = np.cumsum([len(piece) // 2 for _, piece in heard])
    loud = np.flatnonzero(np.abs(samples) > _LOUD)
    starts = loud[np.flatnonzero(np.diff(loud, prepend=-RATE) > RATE * PAUSE_S / 2)]
    pieces = np.searchsorted(ends, starts, side="right")
    at = np.array([heard[piece][0] for piece in pieces]) - (ends[pieces] - starts) / RATE
    latencies: list[float] = []
    captures: list[float] = []
    audible: list[bool] = []
    anywhere: list[bool] = []
    for began in written:
        onset = _first(at, began)
        packet = _first(np.array(encoded), began)
        if onset is None or packet is None:
            continue
        latencies.append(1000 * (at[onset] - began))
        captures.append(1000 * (encoded[packet] - began))
        pure = purity(samples[starts[onset] : starts[onset] + int(RATE * TONE_S)])
        impure = {block: not pure[block - 2 : block + 4].all() for block in range(3, len(pure) - 6)}
        anywhere += impure.values()
        missed = [round((each - encoded[packet]) * RATE / _BLOCK) for each in lost]
        audible += [impure[block] for block in missed if block in impure]
    latencies.sort()
    return {
        "p50_ms": float(statistics.median(latencies)),
        "p95_ms": float(latencies[int(0.95 * (len(latencies) - 1))]),
        "capture_ms": float(statistics.median(captures)),
        "bursts": len(latencies),
        "lost": len(audible),
        "heard_percent": 100 * sum(audible) / max(1, len(audible)),
        "else_percent": 100 * sum(anywhere) / max(1, len(anywhere)),
    }


def _first(times: np.ndarray, began: float) -> int | None:
    """Index of the first time in the burst that began then."""
    found = np.flatnonzero((times > began) & (times < began + TONE_S + PAUSE_S))
    return int(found[0]) if len(found) else None


def purity(burst: np.ndarray) -> np.ndarray:
    """Of each 10 ms, with the next 10, whether they are the pure tone."""
    time = np.arange(2 * _BLOCK) / RATE
    basis = np.stack([np.sin(2 * np.pi * FREQUENCY * time), np.cos(2 * np.pi * FREQUENCY * time)], axis=1)
    windows = np.lib.stride_tricks.sliding_window_view(burst, 2 * _BLOCK)[::_BLOCK].T
    fit, *_ = np.linalg.lstsq(basis, windows, rcond=None)
    rest = np.std(windows - basis @ fit, axis=0)
    pure: np.ndarray = rest < 0.1 * np.maximum(np.std(windows, axis=0), _LOUD)
    return pure


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--systems", default=",".join(SYSTEMS))
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--loss", default="0,1", help="percent")
    parser.add_argument("--viewers", type=int, default=0, help="of a picture of 8 Mb/s, besides")
    parser.add_argument("--frame-ms", type=int, default=20)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows: dict[tuple[str, str], list[dict[str, float]]] = {}
    for _ in range(options.runs):
        for loss in options.loss.split(","):
            for system in options.systems.split(","):
                row = await measure(system, loss, options)
                print(f"{system} {loss} %", {key: round(value, 1) for key, value in row.items()}, flush=True)
                rows.setdefault((loss, system), []).append(row)
    print(f"\nbursts of {TONE_S} s for {options.seconds:.0f} s, medians of {options.runs} runs, ms")
    print(
        f"{'loss %':>7}{'system':>10}{'p50':>8}{'p95':>8}{'capture':>9}{'buffer':>8}"
        f"{'packets lost':>14}{'heard %':>9}{'else %':>8}{'vs stock':>10}"
    )
    table = {
        key: {name: statistics.median(each[name] for each in found) for name in found[0]}
        for key, found in rows.items()
    }
    for (loss, system), row in table.items():
        stock = table.get((loss, "stock"), row)
        print(
            f"{loss:>7}{system:>10}{row['p50_ms']:8.1f}{row['p95_ms']:8.1f}{row['capture_ms']:9.1f}"
            f"{row['buffer_ms']:8.1f}{row['lost']:14.0f}{row['heard_percent']:9.0f}{row['else_percent']:8.0f}"
            f"{stock['p50_ms'] / row['p50_ms']:9.2f}x"
        )
    if options.json:
        options.json.write_text(
            json.dumps({f"{system} {loss}": found for (loss, system), found in rows.items()})
        )


if __name__ == "__main__":
    asyncio.run(main())
