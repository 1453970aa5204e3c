"""What a fleet loses while each of its parts is killed in turn: nothing but what ran on the killed one.

`python -m bench.fleet [--sessions 200]`. Three nats-servers, two gateways and three enrolled boxes, all
processes of their own. Clients create sessions in five waves, at whichever gateway answers, and join each
until its streamer has made its offer; on every box one more session is watched, with media, all the time.
Meanwhile both gateways, all nats-servers, a streamer and the daemon of a box get SIGKILL and start again, as
under systemd; then the books are checked.
"""

import argparse
import asyncio
import contextlib
import functools
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from appliance.bus.connection import BusAddress, connect
from appliance.bus.messages import AgentAnnounce
from appliance.bus.subjects import ANNOUNCE_ALL
from appliance.control.client import ControlClient
from appliance.control.credentials import EnrolledBoxes
from appliance.errors import FanlightError
from bench.fleet_scene import BOXES, LOOK_S, Fleet, fleet
from bench.report import Column, Report, Row, arguments
from tests.support.fleet import Cluster, in_step
from tests.support.viewer import stop_decoding

WAVES = 5
INTO_WAVE_S = 4.0
COLUMNS = (
    Column("open", "open then", 0), Column("lost", "lost", 0), Column("twice", "twice", 0),
    Column("stray", "made, never told", 0), Column("retries", "calls tried again", 0),
    Column("gap_ms", "longest gap of media, ms", 0), Column("again_s", "all there again, s"),
    Column("error_s", "its sessions end, s"),
)  # fmt: skip


async def known_again(running: Fleet, heard: AsyncIterator[tuple[str, AgentAnnounce]]) -> None:
    """Until every box has announced itself, and every gateway knows."""
    missing = running.identities()
    while missing:
        missing.discard((await anext(heard))[1].id)
    for each in running.doors.values():
        control = ControlClient(each.directory / "run" / "control.sock")
        known = False
        while not known:
            with contextlib.suppress(FanlightError):
                found = (await control.call("enroll.list", None, EnrolledBoxes)).boxes
                known = all(box.answers for box in found)
            await asyncio.sleep(LOOK_S)


async def strike(
    running: Fleet, kill: Callable[[], Awaitable[None]], *, through: int, without: str = ""
) -> Row:
    """Kill a part; what follows is seen `through` a nats-server that stays. `without`: the killed box."""
    opened, retries, watched = len(running.sessions), running.retries, running.watched
    for each in watched:
        each.begin()
    async with (
        connect(BusAddress(running.servers.one(through)), name="bench") as bus,
        bus.subscribe(ANNOUNCE_ALL, AgentAnnounce) as heard,
    ):
        began = time.monotonic()
        await kill()
        await known_again(running, heard)
        again = time.monotonic() - began
        await in_step(bus, "sessions")
    gap = max(each.gap for each in watched if each.box != without)
    return {"open": opened, "retries": running.retries - retries, "gap_ms": 1000 * gap, "again_s": again}


async def kill_streamer(running: Fleet) -> Row:
    """Of a session that a client joined, until it makes its offer again."""
    victim = next(
        each for each in await running.instances() if each.session in running.sessions and each.stats
    )
    for each in running.watched:
        each.begin()
    opened, began = len(running.sessions), time.monotonic()
    assert victim.stats
    assert victim.session
    os.kill(victim.stats.pid, signal.SIGKILL)
    await running.join(victim.session, running.api.bases[0])
    gap = 1000 * max(each.gap for each in running.watched)
    return {"open": opened, "gap_ms": gap, "again_s": time.monotonic() - began}


async def ended(running: Fleet, box: str, began: float) -> float:
    """Seconds until every session that a client had on `box` is over."""
    own = {each for each in running.sessions if each.startswith(f"{running.identity(box)}-")}
    while True:
        listed = await running.api.sessions()
        if all(listed.get(each) == "error" for each in own):
            return time.monotonic() - began
        await asyncio.sleep(LOOK_S)


async def measure(report: Report, options: argparse.Namespace, scratch: Path) -> None:
    """Every part once."""
    async with fleet(scratch) as running:
        east, west = (functools.partial(running.restart, running.doors, name) for name in ("east", "west"))
        bus = [functools.partial(_again, running.servers, index) for index in range(3)]
        kills: list[dict[str, Callable[[], Awaitable[Row]]]] = [
            {"gateway east": functools.partial(strike, running, east, through=0)},
            {"gateway west": functools.partial(strike, running, west, through=0)},
            {"nats-server 1": functools.partial(strike, running, bus[0], through=1)},
            {
                "nats-server 2": functools.partial(strike, running, bus[1], through=2),
                "nats-server 3": functools.partial(strike, running, bus[2], through=0),
            },
            {"a streamer": functools.partial(kill_streamer, running)},
        ]
        for number, wave in enumerate(kills, 1):
            began = time.monotonic()
            async with asyncio.TaskGroup() as group:
                group.create_task(running.wave(options.sessions // WAVES))
                await asyncio.sleep(INTO_WAVE_S)
                rows = {name: await kill() for name, kill in wave.items()}
            books = await running.books()
            for name, row in rows.items():
                report.add(name, {**row, **books})
            took = time.monotonic() - began
            print(f"wave {number}: {len(running.sessions)} sessions in {took:.0f} s", file=sys.stderr)
            if number < WAVES:
                await running.end_all()
        began, box = time.monotonic(), BOXES[-1]
        row = await strike(running, lambda: running.restart(running.boxes, box), through=0, without=box)
        error_s = await ended(running, box, began)
        report.add(
            "daemon of a box", {**row, "error_s": error_s, **await running.books(running.identity(box))}
        )
        await running.end_all()


async def _again(servers: Cluster, index: int) -> None:
    await servers.kill(index)
    await servers.restart(index)


async def main() -> None:
    parser = arguments(__doc__, seconds=None)
    parser.set_defaults(runs=1)
    parser.add_argument("--sessions", type=int, default=200)
    options = parser.parse_args()
    stop_decoding()
    title = f"{options.sessions} sessions in {WAVES} waves, 3 nats-servers, 2 gateways, 3 boxes"
    report = Report(title, COLUMNS)
    for _ in range(options.runs):
        with tempfile.TemporaryDirectory() as scratch:
            await measure(report, options, Path(scratch))
    report.finish(options)


if __name__ == "__main__":
    asyncio.run(main())
