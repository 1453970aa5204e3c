"""Bottlenecks: what a viewer behind a bad link sees, Fanlight beside stock aiortc. Needs root.

`python -m bench.links [--cases 1500,loss2] [--systems fanlight,stock] [--fps 30]`. The box and Chromium sit
in namespaces of their own with an emulated link between them (bench/link.py): 50 ms round trip, a queue of
300 ms. The screen has more to show than the link carries. The first 3 s after the first frame do not count.
"used" is of the link's rate, with all headers. Frames that were late are "decoded" together, and only the
last of them counts in "fps". "back" is the time from the last step down until latency and frames are for a
second as they were before. The system "fanlight-unrepaired" is Fanlight for a browser that takes no repair
packets ("repair" counts them, "again" the packets that were sent again).
"""

import argparse
import asyncio
import contextlib
import math
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.link import Link, Shape, link, mean_kbps, queue_p95
from bench.report import Column, Report, Row, arguments, finish, quantile
from bench.systems import Job, system
from bench.viewing import Frame, drawn, figures, latencies, opened, shows, watch
from tests.support.box import counter, x_server

START_SECONDS = 3
COLUMNS = (
    Column("fps", "fps"), Column("decoded_fps", "decoded"),
    Column("freezes", "freezes", 0), Column("frozen_s", "frozen s"),
    Column("used_percent", "used %", 0),
    Column("queue_p95_ms", "queue p95", 0), Column("p50_ms", "p50 ms", 0), Column("p95_ms", "p95 ms", 0),
    Column("back_s", "back s"), Column("nacks", "nacks", 0), Column("plis", "plis", 0),
    Column("retransmitted", "again", 0), Column("repair", "repair", 0),
    Column("reconnects", "reconnects", 0),
)  # fmt: skip
FAIRNESS = (
    Column("jain", "Jain", 3),
    Column("first_kbps", "one kb/s", 0),
    Column("second_kbps", "other kb/s", 0),
)
AS_BEFORE_MS, STEADY_MS = 100.0, 1000.0


@dataclass(frozen=True, slots=True)
class Case:
    """Links one after the other, for the same time each."""

    shapes: Sequence[Shape]

    @property
    def steps_down(self) -> bool:
        """Whether the last step is to less."""
        return len(self.shapes) > 1 and self.shapes[-1].kbps < self.shapes[-2].kbps


CASES = {
    "1500": Case([Shape(1500)]),
    "3000": Case([Shape(3000)]),
    "8000": Case([Shape(8000)]),
    "3000-1500": Case([Shape(3000), Shape(1500)]),
    "8000-3000": Case([Shape(8000), Shape(3000)]),
    "8000-1500": Case([Shape(8000), Shape(1500)]),
    "1500-8000": Case([Shape(1500), Shape(8000)]),
    "loss1": Case([Shape(8000, loss=0.01)]),
    "loss2": Case([Shape(8000, loss=0.02)]),
    "loss5": Case([Shape(8000, loss=0.05)]),
    "jitter100": Case([Shape(8000, jitter_ms=100)]),
}
SHARED = Shape(6000)
BROWSER = ("decoded_fps", "freezes", "frozen_s", "nacks", "plis", "retransmitted", "repair", "reconnects")
UNREPAIRED = "fanlight-unrepaired"
NO_REPAIR = """(() => {
  const known = RTCRtpReceiver.getCapabilities.bind(RTCRtpReceiver);
  const repairs = ({ mimeType }) => mimeType.toLowerCase().startsWith('video/flexfec');
  RTCRtpReceiver.getCapabilities = (kind) => {
    const found = known(kind);
    return { ...found, codecs: found.codecs.filter((codec) => !repairs(codec)) };
  };
})()"""
"""A browser that knows no FlexFEC."""
NOTHING: Row = {"fps": 0.0, "freezes": 1.0, "frozen_s": 30.0}
"""Of a system that shows no frame in 30 s."""


def recovery_s(seen: Sequence[tuple[float, float]], step_ms: float, end_ms: float) -> float:
    """Seconds after the step until frames come and are as quick as before it, for a second at least.

    `seen` is (presented, latency) in ms. Until the end where that never is.
    """
    usual = quantile((latency for at, latency in seen if at < step_ms), 0.5)
    good_since = step_ms
    last = step_ms
    for at, latency in [*((at, latency) for at, latency in seen if at >= step_ms), (end_ms, 0.0)]:
        if latency > usual + AS_BEFORE_MS or at - last > STEADY_MS / 2:
            good_since = at
        elif at - good_since >= STEADY_MS:
            break
        last = at
    return (good_since - step_ms) / 1000


def jain(rates: Sequence[float]) -> float:
    """Jain's index: 1 is equal shares, 1/n is all for one."""
    squares = sum(rate * rate for rate in rates)
    return sum(rates) ** 2 / (len(rates) * squares) if squares else 0.0


async def measure(name: str, case: Case, options: argparse.Namespace, scratch: Path) -> Row:
    """One run of one system behind one link."""
    log = scratch / "links.draw"
    name, script = ("fanlight", NO_REPAIR) if name == UNREPAIRED else (name, "")
    async with (
        x_server() as display,
        counter(display, log=log, fps=str(options.fps), mode="noise", seconds="300"),
        link(case.shapes[0]) as wire,
        system(name, _job(display, options), scratch, wire.box) as running,
        opened(running.url, prefix=wire.viewer, scratch=scratch, script=script) as page,
    ):
        if not await shows(page):
            return NOTHING
        await asyncio.sleep(START_SECONDS)
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            stepping = group.create_task(_step(wire, case, options.seconds))
            frames, browser = await watch(page, options.seconds * len(case.shapes))
            stepped_ms = await stepping
        told = wire.since(began)
        end_ms = time.time() * 1000
    at = drawn(log)
    capacity = sum(shape.kbps for shape in case.shapes) / len(case.shapes)
    return {
        **figures(frames, at),
        **{key: browser[key] for key in BROWSER},
        "used_percent": 100 * mean_kbps(told) / capacity,
        "queue_p95_ms": queue_p95(told),
        "back_s": _back(frames, at, stepped_ms, end_ms) if case.steps_down else float("nan"),
    }


async def _step(wire: Link, case: Case, seconds: float) -> float:
    """Go through the shapes; returns when the last came, in ms of the wall clock."""
    for shape in case.shapes[1:]:
        await asyncio.sleep(seconds)
        wire.become(shape)
    return time.time() * 1000


def _back(frames: Sequence[Frame], at: dict[int, float], stepped_ms: float, end_ms: float) -> float:
    seen = [(frame.presented, latency) for frame, latency in latencies(frames, at)]
    return recovery_s(seen, stepped_ms, end_ms)


async def share(name: str, options: argparse.Namespace, scratch: Path) -> Row:
    """Two viewers with control behind one link."""
    async with contextlib.AsyncExitStack() as stack:
        enter = stack.enter_async_context
        display = await enter(x_server())
        await enter(counter(display, fps=str(options.fps), mode="noise", seconds="300"))
        wire = await enter(link(SHARED))
        running = await enter(system(name, _job(display, options), scratch, wire.box))
        pages = [await enter(opened(running.url, prefix=wire.viewer, scratch=scratch)) for _ in range(2)]
        for page in pages:
            await shows(page)
        await asyncio.sleep(START_SECONDS)
        async with asyncio.TaskGroup() as group:
            watching = [group.create_task(watch(page, options.seconds)) for page in pages]
        rates = [_or_nothing(each.result()[1]["received_kbps"]) for each in watching]
    return {"jain": jain(rates), "first_kbps": rates[0], "second_kbps": rates[1]}


def _or_nothing(rate: float) -> float:
    """A page that had to connect anew got no share worth the name."""
    return 0.0 if math.isnan(rate) else rate


def _job(display: str, options: argparse.Namespace) -> Job:
    return Job(display, fps=options.fps, kbps=options.kbps, role="control")


async def main() -> None:
    parser = arguments(__doc__, seconds=20)
    parser.add_argument("--systems", default="fanlight,stock")
    parser.add_argument("--cases", default=",".join([*CASES, "share"]))
    parser.add_argument("--fps", type=int, default=30)
    parser.add_argument("--kbps", type=int, default=10_000, help="what the systems are configured to")
    options = parser.parse_args()
    cases, names = options.cases.split(","), options.systems.split(",")
    bottlenecks = Report("behind a link, kb/s or what is wrong with 8000", COLUMNS)
    fairness = Report(f"two with control share {SHARED.kbps} kb/s", FAIRNESS)
    with tempfile.TemporaryDirectory() as scratch:
        for _ in range(options.runs):
            for case in cases:
                for name in names:
                    if case == "share":
                        fairness.add(name, await share(name, options, Path(scratch)))
                    else:
                        row = await measure(name, CASES[case], options, Path(scratch))
                        bottlenecks.add(f"{case} {name}", row)
    finish([report for report in (bottlenecks, fairness) if report.runs], options)


if __name__ == "__main__":
    asyncio.run(main())
