"""What a viewer of the Kinesis dialect costs, beside one of ours, in the same run.

`python -m bench.kinesis [--viewers 25] [--kbps 3000]`: the streamer's CPU at 720p30 with one viewer and with
all, once in the dialect of our page and once with offers that came by `/signal/viewer`; the slope is what one
viewer more costs. They only watch, and are deaf.
"""

import argparse
import asyncio
import contextlib
import json
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import boto3

from bench.fan_out import fresh_stats
from bench.kinesis_watchers import kinesis_watchers
from bench.processes import thread_seconds
from bench.report import Column, Report, Row, arguments
from bench.systems import Job, fanlight
from bench.watchers import watchers
from tests.support.box import Box, counter, x_server
from tests.support.kvs import presigned

SETTLE_SECONDS = 5
ALL = 1000
COLUMNS = (
    Column("one_percent", "streamer % of a core, 1 viewer", 2), Column("all_percent", "all viewers", 2),
    Column("viewer_percent", "one viewer more", 3), Column("encoded_per_s", "encoded/s, all viewers"),
)  # fmt: skip
WATCHER = {"Statement": [{"Effect": "Allow", "Action": ["kinesisvideo:*"], "Resource": ["*"]}]}


async def urls(box: Box, count: int, scratch: Path) -> list[str]:
    """Presigned, for so many viewers that may only watch."""
    policy = scratch / "policy.json"
    policy.write_text(json.dumps(WATCHER))
    made = await box.cli("key", "create", f"bench-{time.monotonic_ns()}", "--policy", str(policy))
    key = {f"aws_{name}": made[name] for name in ("access_key_id", "secret_access_key")}

    def endpoint() -> tuple[str, str]:
        video = boto3.session.Session().client(
            "kinesisvideo", region_name="eu-north-1", endpoint_url=box.url.rstrip("/"), verify=False, **key
        )
        arn = video.describe_signaling_channel(ChannelName="desktop")["ChannelInfo"]["ChannelARN"]
        wish = {"Protocols": ["WSS"], "Role": "VIEWER"}
        found = video.get_signaling_channel_endpoint(
            ChannelARN=arn, SingleMasterChannelEndpointConfiguration=wish
        )
        return arn, found["ResourceEndpointList"][0]["ResourceEndpoint"]

    arn, url = await asyncio.to_thread(endpoint)
    return [presigned(key, url, arn, f"v{number}") for number in range(count)]


@contextlib.asynccontextmanager
async def watched(dialect: str, link: str, box: Box, viewers: int, scratch: Path) -> AsyncIterator[None]:
    """So many viewers."""
    if dialect == "kinesis":
        async with kinesis_watchers(await urls(box, viewers, scratch), "--deaf"):
            yield
    else:
        async with watchers(link, viewers, "--deaf"):
            yield


async def cost(dialect: str, viewers: int, options: argparse.Namespace, scratch: Path) -> Row:
    """CPU and encoded frames of one run."""
    async with (
        x_server() as display,
        counter(display, fps="30", mode="motion"),
        fanlight(Job(display, kbps=options.kbps, per_process=ALL), scratch) as (link, box),
        watched(dialect, link, box, viewers, scratch),
    ):
        await asyncio.sleep(SETTLE_SECONDS)
        before = await fresh_stats(box)
        cpu, began = thread_seconds(before["pid"]), time.monotonic()
        await asyncio.sleep(options.seconds)
        after = await fresh_stats(box)
        cpu, elapsed = thread_seconds(before["pid"]) - cpu, time.monotonic() - began
    encoded = after["frames_encoded"] - before["frames_encoded"]
    return {"percent": 100 * cpu / elapsed, "encoded_per_s": encoded / elapsed}


async def measure(dialect: str, options: argparse.Namespace, scratch: Path) -> Row:
    """With one viewer, and with all."""
    one = await cost(dialect, 1, options, scratch)
    every = await cost(dialect, options.viewers, options, scratch)
    return {
        "one_percent": one["percent"],
        "all_percent": every["percent"],
        "viewer_percent": (every["percent"] - one["percent"]) / (options.viewers - 1),
        "encoded_per_s": every["encoded_per_s"],
    }


async def main() -> None:
    parser = arguments(__doc__, seconds=10)
    parser.add_argument("--viewers", type=int, default=25)
    parser.add_argument("--kbps", type=int, default=3000)
    options = parser.parse_args()
    title = f"{options.viewers} viewers, 1280x720 at 30 fps, {options.kbps} kb/s"
    report = Report(title, COLUMNS, ratio="viewer_percent", base="ours")
    with tempfile.TemporaryDirectory() as scratch:
        for _ in range(options.runs):
            for dialect in ("ours", "kinesis"):
                report.add(dialect, await measure(dialect, options, Path(scratch)))
    report.finish(options)


if __name__ == "__main__":
    asyncio.run(main())
