"""Encode once, packetize once: what a viewer more costs, beside aiortc's own sender and webrtcbin.

`python -m bench.fan_out [--packets 1,5,10,25,50,150] [--kbps 8000] [--viewers 1,8] [--processes 1]
[--viewer-kbps 3000]`:
first the cost of one packet to one viewer, synthetic frames to deaf receivers (appliance/bench/fan_out.py),
with the slope from the fewest to the most viewers, which says how many of them a core serves; "controlled" is
Fanlight with receivers that give transport-wide feedback (bench/feedback.py). Then the encoder's work and the
streamer's CPU at 720p30, for headless viewers that take the packets in; with `--processes 1,2` also
where the viewers are shared out over so many processes.
"""

import argparse
import asyncio
import dataclasses
import itertools
import tempfile
import time
from pathlib import Path
from typing import Any

from appliance.bench import fan_out
from bench.packets import webrtcbin
from bench.processes import cpu_seconds
from bench.report import Column, Report, Row, arguments, finish
from bench.systems import Job, fanlight
from bench.watchers import lateness_p95, watchers
from tests.support.box import Box, counter, x_server

SETTLE_SECONDS = 5
CONTROL_SECONDS = 10.0  # until the estimate allows for the whole bitrate
PACKETS = (
    Column("us_per_packet", "us per packet", 2),
    Column("percent_per_viewer", "% of a core per viewer", 3),
    Column("packets_per_s", "packets/s", 0),
)
SLOPE = (Column("us_per_packet", "us per further packet", 2), Column("per_core", "viewers per core", 0))
ENCODER = (
    Column("encoded_per_s", "encoded/s"),
    Column("cpu_percent", "streamer % of a core", 2),
    Column("shards_percent", "its shards' %", 2),
    Column("late_p95_ms", "frame late p95 ms"),
    Column("kbps", "kb/s", 0),
)


async def packet_cost(system: str, viewers: int, options: argparse.Namespace) -> Row:
    """One run of one system."""
    if system == "webrtcbin":
        cost = await webrtcbin(viewers, options.kbps, options.seconds)
    elif system == "controlled":
        cost = await fan_out.measure(
            "fanlight",
            viewers,
            options.kbps,
            options.seconds,
            module="bench.feedback",
            warm_up_s=CONTROL_SECONDS,
        )
    else:
        cost = await fan_out.measure(system, viewers, options.kbps, options.seconds)
    return {key: float(value) for key, value in dataclasses.asdict(cost).items()}


def slopes(packets: Report, systems: list[str]) -> Report:
    """What one further viewer costs, from the fewest to the most."""
    found = Report("from the fewest to the most viewers", SLOPE, ratio="us_per_packet", base=systems[0])
    for system in systems:
        rows = [row for name, row in packets.rows.items() if name.endswith(f" {system}")]
        if len(rows) > 1:
            few, many = min(rows, key=_viewers), max(rows, key=_viewers)
            cpu = _percent(many) - _percent(few)
            sent = many["packets_per_s"] - few["packets_per_s"]
            further = many["viewers"] - few["viewers"]
            found.add(system, {"us_per_packet": 1e4 * cpu / sent, "per_core": 100 * further / cpu})
    return found


def _viewers(row: Row) -> float:
    return row["viewers"]


def _percent(row: Row) -> float:
    """Of a core, for all of its viewers."""
    return row["percent_per_viewer"] * row["viewers"]


async def encode_once(viewers: int, processes: int, options: argparse.Namespace, scratch: Path) -> Row:
    """One run of the whole box with so many viewers, in so many processes."""
    per_process = -(-viewers // processes) if processes > 1 else 0
    log = scratch / "frames.log"
    async with (
        x_server() as display,
        counter(display, fps="30", mode="motion"),
        fanlight(Job(display, kbps=options.viewer_kbps, per_process=per_process), scratch) as (link, box),
        watchers(link, viewers, "--log", str(log)),
    ):
        await asyncio.sleep(SETTLE_SECONDS)
        before = await fresh_stats(box)
        began, began_ms = time.monotonic(), time.time() * 1000
        pids = [before["pid"], *before["shards"]]
        spent = [cpu_seconds(pid) for pid in pids]
        await asyncio.sleep(options.seconds)
        after = await fresh_stats(box)
        elapsed = time.monotonic() - began
        streamer, *shards = (cpu_seconds(pid) - cpu for pid, cpu in zip(pids, spent, strict=True))
    return {
        "encoded_per_s": (after["frames_encoded"] - before["frames_encoded"]) / elapsed,
        "cpu_percent": 100 * streamer / elapsed,
        "shards_percent": 100 * sum(shards) / elapsed,
        "late_p95_ms": lateness_p95(log, began_ms),
        "kbps": after["bitrate_kbps"] or 0.0,
    }


async def fresh_stats(box: Box) -> Any:
    """What the streamer says next: it does so once a second."""
    stats = (await box.snapshot())["instances"][0]["stats"]
    known = stats["frames_encoded"]
    snapshot = await box.until(f's["instances"][0]["stats"]["frames_encoded"] > {known}')
    return snapshot["instances"][0]["stats"]


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",") if number]


async def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--packets", default="1,5,10,25,50,150", help="viewers; empty leaves it out")
    parser.add_argument("--kbps", type=int, default=8000, help="of the packets")
    parser.add_argument("--systems", default="fanlight,controlled,aiortc,webrtcbin", help="whose packets")
    parser.add_argument("--viewers", default="1,8", help="of the whole box; empty leaves it out")
    parser.add_argument("--processes", default="1", help="that these are shared out over")
    parser.add_argument("--viewer-kbps", type=int, default=3000)
    options = parser.parse_args()
    systems = options.systems.split(",")
    packets = Report(f"{options.kbps} kb/s for each viewer", PACKETS)
    box = Report(f"the whole box, 720p30 at {options.viewer_kbps} kb/s", ENCODER)
    with tempfile.TemporaryDirectory() as scratch:
        for _ in range(options.runs):
            for viewers in _numbers(options.packets):
                for system in systems:
                    packets.add(f"{viewers} {system}", await packet_cost(system, viewers, options))
            for viewers, processes in itertools.product(
                _numbers(options.viewers), _numbers(options.processes)
            ):
                name = f"{viewers} viewers" + (f", {processes} processes" if processes > 1 else "")
                box.add(name, await encode_once(viewers, processes, options, Path(scratch)))
    reports = [packets, slopes(packets, systems), box]
    finish([each for each in reports if each.runs], options)


if __name__ == "__main__":
    asyncio.run(main())
