"""Encode once, packetize once: what a viewer more costs.

`python -m bench.fan_out [--viewers 1,8] [--kbps 3000] [--seconds 15]`: the encoder's work and the streamer's
CPU at 720p30, headless viewers in a process of their own that take the packets in and do not decode, on
loopback. `[--packets 1,10,50] [--packet-kbps 8000]`: then the cost of a packet beside aiortc's own sender
(bench/packets.py). `--json` prints the latter, for the most viewers, and the tables on standard error.
"""

import argparse
import asyncio
import contextlib
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, TextIO

from bench import packets
from bench.processes import cpu_seconds
from bench.systems import Job, fanlight
from tests.support.box import counter, running, x_server
from tests.support.viewer import stop_decoding, viewer


async def watch(link: str, count: int) -> None:
    """`count` viewers until the process is ended."""
    stop_decoding()
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(count):
            await stack.enter_async_context(viewer(link))
        print("watching", flush=True)
        await asyncio.get_running_loop().create_future()


async def measure(viewers: int, options: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """One run with `viewers` viewers."""
    watchers = [sys.executable, "-m", "bench.fan_out", "--viewers", str(viewers), "--watch"]
    async with (
        x_server() as display,
        counter(display, fps="30", mode="motion"),
        fanlight(Job(display, kbps=options.kbps), scratch) as (link, box),
        running([*watchers, link]) as process,
    ):
        await process.line("watching", 60)
        await asyncio.sleep(5)
        before = (await box.snapshot())["instances"][0]["stats"]
        pid, began, cpu = before["pid"], time.monotonic(), cpu_seconds(before["pid"])
        await asyncio.sleep(options.seconds)
        cpu, elapsed = cpu_seconds(pid) - cpu, time.monotonic() - began
        after = (await box.snapshot())["instances"][0]["stats"]
    frames = after["frames_encoded"] - before["frames_encoded"]
    return {
        "viewers": len(after["viewers"]),
        "encoded_per_s": frames / elapsed,
        "cpu_percent": 100 * cpu / elapsed,
        "kbps": after["bitrate_kbps"],
    }


async def encode_once(options: argparse.Namespace, out: TextIO) -> None:
    """The table of the encoder."""
    rows: dict[int, list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for _ in range(options.runs):
            for viewers in _numbers(options.viewers):
                rows.setdefault(viewers, []).append(await measure(viewers, options, Path(scratch)))
    print(f"720p30 at {options.kbps} kb/s, medians of {options.runs} runs", file=out)
    print(f"{'viewers':>8}{'encoded/s':>11}{'streamer % of a core':>22}{'kb/s':>8}", file=out)
    table = {
        viewers: {key: statistics.median(each[key] for each in runs) for key in runs[0]}
        for viewers, runs in rows.items()
    }
    for viewers, row in table.items():
        print(
            f"{viewers:8}{row['encoded_per_s']:11.1f}{row['cpu_percent']:22.2f}{row['kbps'] or 0:8.0f}",
            file=out,
        )
    few, many = min(table), max(table)
    if many > few:
        slope = (table[many]["cpu_percent"] - table[few]["cpu_percent"]) / (many - few)
        ratio = table[many]["encoded_per_s"] / table[few]["encoded_per_s"]
        print(
            f"{slope:.2f} % of a core for each further viewer; frames encoded, many to few: {ratio:.3f}x",
            file=out,
        )


async def packetize_once(options: argparse.Namespace, out: TextIO) -> dict[str, Any]:
    """The table of the packets; returns what it says of the most viewers."""
    viewers = _numbers(options.packets)
    found = await packets.compare(viewers, options.packet_kbps, options.seconds, options.runs)
    print(f"{options.packet_kbps} kb/s for each viewer, medians of {options.runs} runs", file=out)
    print(f"{'viewers':>8}{'system':>10}{'us per packet':>15}{'% of a core per viewer':>24}", file=out)
    for count in viewers:
        for system, table in found.items():
            row = table[count]
            print(
                f"{count:8}{system:>10}{row['us_per_packet']:15.2f}{row['percent_per_viewer']:24.3f}",
                file=out,
            )
    return {
        system: {
            "viewers": max(viewers),
            **{key: round(value, 3) for key, value in table[max(viewers)].items()},
        }
        for system, table in found.items()
    }


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",") if number]


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--viewers", default="1,8", help="of the encoder's table; empty leaves it out")
    parser.add_argument("--kbps", type=int, default=3000)
    parser.add_argument(
        "--packets", default="1,10,50", help="viewers of the packets' table; empty leaves it out"
    )
    parser.add_argument("--packet-kbps", type=int, default=8000)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--watch", help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.watch:
        await watch(options.watch, int(options.viewers))
        return
    out = sys.stderr if options.json else sys.stdout
    if options.viewers:
        await encode_once(options, out)
    result = await packetize_once(options, out) if options.packets else {}
    if options.json:
        print(json.dumps(result))


if __name__ == "__main__":
    asyncio.run(main())
