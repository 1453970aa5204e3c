"""Latency from X draw to presented frame in headless Chromium, and time to the first frame, side by side.

`python -m bench.latency [--runs 3] [--seconds 15] [--systems fanlight,stock,selkies]`. All systems stream the
same moving screen, one after the other, round after round, so that what else the machine does hits all alike.
"""

import argparse
import asyncio
import contextlib
import json
import statistics
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from bench.systems import Job, fanlight, selkies, stock
from tests.support.box import chromium, counter, visitor, x_server

WARM_SECONDS = 5


@contextlib.asynccontextmanager
async def system(name: str, job: Job, scratch: Path) -> AsyncIterator[str]:
    match name:
        case "fanlight":
            async with fanlight(job, scratch) as (url, _):
                yield url
        case "stock":
            async with stock(job) as url:
                yield url
        case "selkies":
            async with selkies(job, scratch) as url:
                yield url
        case _:
            raise SystemExit(f"no system {name!r}")


async def measure(name: str, options: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """One run of one system: latencies in ms."""
    width, height = map(int, options.size.split("x"))
    log = scratch / f"{name}.draw"
    async with (
        x_server(width, height) as display,
        counter(display, log=log, fps=str(options.fps), mode="motion", seconds="300"),
    ):
        job = Job(display, width, height, options.fps, options.kbps)
        async with (
            system(name, job, scratch) as url,
            chromium() as browser,
            visitor(browser, viewport={"width": width, "height": height}) as person,
        ):
            page = await person.new_page()
            await page.goto(url)
            await page.wait_for_function("() => __probe.frames.length > 0", timeout=30_000)
            first = await page.evaluate("__probe.firstFrame - __probe.began")
            await asyncio.sleep(WARM_SECONDS)
            skip = await page.evaluate("__probe.frames.length")
            await asyncio.sleep(options.seconds)
            frames = (await page.evaluate("__probe.frames"))[skip:]
    return {"first_frame_ms": first, **analyse(frames, log)}


def analyse(frames: list[list[float]], log: Path) -> dict[str, float]:
    """Latency of the first presentation of each drawn frame."""
    drawn = {int(code): float(at) for code, at in (line.split() for line in log.read_text().splitlines())}
    seen: set[int] = set()
    presented, received = [], []
    for code, _, shown, got in frames:
        if int(code) in drawn and int(code) not in seen:
            seen.add(int(code))
            presented.append(shown - drawn[int(code)])
            if got:
                received.append(got - drawn[int(code)])
    presented.sort()
    received.sort()
    return {
        "frames": len(presented),
        "p50_ms": quantile(presented, 0.5),
        "p95_ms": quantile(presented, 0.95),
        "received_p50_ms": quantile(received, 0.5),
    }


def quantile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("nan")


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--systems", default="fanlight,stock,selkies")
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--fps", type=int, default=30)
    parser.add_argument("--kbps", type=int, default=4000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    names = options.systems.split(",")
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as scratch:
        for _ in range(options.runs):
            for name in names:
                result = await measure(name, options, Path(scratch))
                results[name].append(result)
                print(name, {key: round(value, 1) for key, value in result.items()}, flush=True)
    print(f"\n{options.size} at {options.fps} fps, {options.kbps} kb/s, medians of {options.runs} runs, ms")
    print(f"{'':12}{'p50':>8}{'p95':>8}{'received':>10}{'first frame':>13}{'frames':>8}{'vs fanlight':>13}")
    table = {
        name: {key: statistics.median(each[key] for each in runs) for key in runs[0]}
        for name, runs in results.items()
    }
    for name, row in table.items():
        ratio = row["p50_ms"] / table[names[0]]["p50_ms"]
        print(
            f"{name:12}{row['p50_ms']:8.1f}{row['p95_ms']:8.1f}{row['received_p50_ms']:10.1f}"
            f"{row['first_frame_ms']:13.0f}{row['frames']:8.0f}{ratio:12.2f}x"
        )
    if options.json:
        options.json.write_text(
            json.dumps({"options": vars(options) | {"json": None}, "runs": results}, indent=1)
        )


if __name__ == "__main__":
    asyncio.run(main())
