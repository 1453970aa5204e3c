"""Viewers join and leave at random: what the streamer holds, and how fast it grows.

`python -m bench.soak [--minutes 30] [--viewers 8] [--joins N] [--json]`: a real streamer, viewers that do not
decode. With `--joins` it ends after so many. Slopes leave out the first fifth, and are of a full house; what
is held by an empty one is printed before and after.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from appliance.bus.connection import connect
from appliance.bus.server import EmbeddedServer
from tests.support.crowd import Crowd, Held, held, slopes
from tests.support.room import specification, streamer
from tests.support.viewer import stop_decoding

WARM_UP_JOINS = 50
SAMPLE_SECONDS = 5


async def soak(options: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    server, started = EmbeddedServer(scratch), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(server.serve(started))
        await started.wait()
        spec = specification(server.address, viewers_max=1000)
        async with (
            connect(server.address, name="soak") as bus,
            streamer(bus, spec, scratch.joinpath("log").open("wb")) as child,
        ):
            crowd = Crowd(bus, options.viewers, options.stay)
            await crowd.run(lambda: crowd.joins >= WARM_UP_JOINS)
            empty = [await held(bus, child.pid, empty=True)]
            joins, began = crowd.joins, time.monotonic()

            def over() -> bool:
                return bool(
                    crowd.joins - joins >= options.joins
                    if options.joins
                    else time.monotonic() - began >= 60 * options.minutes
                )

            samples: list[tuple[float, Held]] = []
            async with asyncio.TaskGroup() as watching:
                coming = watching.create_task(crowd.run(over))
                while not over():
                    samples.append((time.monotonic() - began, await held(bus, child.pid)))
                    print(f"{samples[-1][0]:7.0f} s {crowd.joins:6} joins  {samples[-1][1]}", file=sys.stderr)
                    await asyncio.wait((coming,), timeout=SAMPLE_SECONDS)
            empty.append(await held(bus, child.pid, empty=True))
        serving.cancel()
    return {
        "joins": crowd.joins - joins,
        "leaves": dict(crowd.leaves),
        "seconds": round(samples[-1][0], 1),
        "empty_before": asdict(empty[0]),
        "empty_after": asdict(empty[1]),
        "slope_per_minute": dict(zip(asdict(empty[0]), slopes(samples[len(samples) // 5 :]), strict=True)),
    }


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--viewers", type=int, default=8)
    parser.add_argument("--stay", type=float, default=10, help="the longest stay in seconds")
    parser.add_argument("--joins", type=int, default=0, help="end after so many instead")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    stop_decoding()
    with tempfile.TemporaryDirectory() as scratch:
        found = await soak(options, Path(scratch))
    if options.json:
        print(json.dumps(found))
        return
    print(f"{found['joins']} joins in {found['seconds']:.0f} s, {options.viewers} viewers at a time")
    print(f"{'':14}{'empty before':>14}{'empty after':>14}{'slope a minute':>16}")
    for name, before in found["empty_before"].items():
        print(f"{name:14}{before:14}{found['empty_after'][name]:14}{found['slope_per_minute'][name]:16.2f}")


if __name__ == "__main__":
    asyncio.run(main())
