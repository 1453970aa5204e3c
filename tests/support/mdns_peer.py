"""A process that advertises a box, or watches for boxes: `mdns_peer.py advertise NAME PORT | watch`.

`advertise` says `serving` once it does and takes `KEY VALUE` lines on stdin; `watch` prints a JSON list on
every change.
"""

import asyncio
import contextlib
import dataclasses
import json
import signal
import sys

from appliance.discovery import browse
from appliance.discovery.advertise import Advertiser


async def advertise(name: str, port: int) -> None:
    texts = {"v": "1", "id": "b0b0", "name": name, "fp": "AA:BB", "state": "idle", "path": "/"}
    advertiser = Advertiser(port, lambda: texts)
    started = asyncio.Event()
    loop = asyncio.get_running_loop()

    def take() -> None:
        key, value = sys.stdin.readline().split(maxsplit=1)
        texts[key] = value.strip()
        advertiser.changed()

    loop.add_reader(sys.stdin, take)
    serving = asyncio.current_task()
    assert serving
    loop.add_signal_handler(signal.SIGTERM, serving.cancel)
    async with asyncio.TaskGroup() as group:
        group.create_task(advertiser.serve(started))
        await started.wait()
        print(json.dumps({"serving": advertiser.instance_name, "problem": advertiser.problem}), flush=True)


async def watch() -> None:
    async for boxes in browse.watch():
        print(json.dumps([dataclasses.asdict(box) for box in boxes]), flush=True)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["advertise", name, port]:
            with contextlib.suppress(asyncio.CancelledError):
                asyncio.run(advertise(name, int(port)))
        case ["watch"]:
            asyncio.run(watch())
