"""Latency from X draw to presented frame in headless Chromium, side by side, and where Fanlight's goes.

`python -m bench.latency [--runs 3] [--systems fanlight,stock,stock-pd,gstreamer,selkies] [--sizes 1280x720]
[--fps 30,60]`. All systems stream the same moving screen, one after the other, round after round, so that
what else the machine does hits all alike. A size or a rate more is a table more. "% of a core" is what the
system itself used, without the X server and the browser. PSNR is of pictures taken after that time.
"""

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

from bench.processes import cpu_seconds, family
from bench.report import Column, Report, Row, arguments, finish
from bench.sharpness import seen, sharpness
from bench.stages import ask_for_stamps, stages, stamps
from bench.systems import NAMES, Job, System, system
from bench.viewing import drawn, figures, visit, watch
from tests.support.box import counter, x_server

WARM_SECONDS = 5
COLUMNS = (
    Column("p50_ms", "p50 ms"), Column("p95_ms", "p95 ms"), Column("received_p50_ms", "received"),
    Column("fps", "fps"), Column("cores_percent", "% of a core"), Column("first_frame_ms", "first frame", 0),
    Column("psnr_db", "PSNR dB"),
)  # fmt: skip
STAGES = (
    Column("wait_ms", "draw to capture"), Column("capture_ms", "capture"), Column("encode_ms", "encode"),
    Column("send_ms", "send"), Column("network_ms", "network"), Column("decode_p50_ms", "decode"),
    Column("show_ms", "buffer, present"), Column("p50_ms", "all"), Column("stamped", "frames", 0),
)  # fmt: skip

DRIFT = 0.97
"""The program draws so much more slowly than a system may send. Who looks at the screen at intervals meets
its pictures at all distances in turn, and not all of a run at one that is good or bad luck."""


async def measure(name: str, size: str, fps: int, options: argparse.Namespace, scratch: Path) -> Row:
    """One run of one system."""
    width, height = map(int, size.split("x"))
    log = scratch / f"{name}.draw"
    async with (
        x_server(width, height) as display,
        counter(display, log=log, fps=str(fps * DRIFT), mode="motion", seconds="300"),
        system(name, Job(display, width, height, fps, options.kbps), scratch) as running,
        visit(running.url, (width, height)) as page,
    ):
        first = await page.evaluate("__probe.firstFrame - __probe.began")
        if running.box:
            await ask_for_stamps(page)
        await asyncio.sleep(WARM_SECONDS)
        cpu, began = _cpu(running), time.monotonic()
        frames, _ = await watch(page, options.seconds)
        used = 100 * (_cpu(running) - cpu) / (time.monotonic() - began)
        inside = stages(frames, drawn(log), await stamps(page)) if running.box else {}
        pictures = await seen(page)
    psnr = await sharpness(pictures, "motion", scratch)
    return {
        **figures(frames, drawn(log)),
        **inside,
        "first_frame_ms": first,
        "cores_percent": used,
        "psnr_db": psnr,
    }


def _cpu(running: System) -> float:
    return sum(cpu_seconds(pid) for pid in family(running.pid))


async def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--systems", default=",".join(NAMES))
    parser.add_argument("--sizes", default="1280x720")
    parser.add_argument("--fps", default="30")
    parser.add_argument("--kbps", type=int, default=4000)
    options = parser.parse_args()
    names = options.systems.split(",")
    reports = []
    for size in options.sizes.split(","):
        for fps in map(int, options.fps.split(",")):
            what = f"{size} at {fps} fps, {options.kbps} kb/s"
            table = Report(f"draw to presented, {what}", COLUMNS, ratio="p50_ms", base=names[0])
            with tempfile.TemporaryDirectory() as scratch:
                for _ in range(options.runs):
                    for name in names:
                        table.add(name, await measure(name, size, fps, options, Path(scratch)))
            inside = Report(f"where the time goes, {what}, ms", STAGES)
            inside.runs = {name: runs for name, runs in table.runs.items() if "stamped" in runs[0]}
            reports += [table, inside]
    finish([report for report in reports if report.runs], options)


if __name__ == "__main__":
    asyncio.run(main())
