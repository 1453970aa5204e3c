"""Viewers of the Kinesis dialect in a process of their own, which do not decode.

`python -m bench.kinesis_watchers [--deaf] URL...`, a presigned URL for each: prints "watching" once all are
connected, and goes on until it is ended. `--deaf`: the kernel drops the picture.
"""

import argparse
import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Sequence

import aiohttp

from appliance.bench.receivers import lose, udp_sockets
from tests.support.box import Running, running
from tests.support.kvs import watching
from tests.support.viewer import stop_decoding


@contextlib.asynccontextmanager
async def kinesis_watchers(urls: Sequence[str], *options: str) -> AsyncIterator[Running]:
    """A process of viewers, connected."""
    async with running([sys.executable, "-m", "bench.kinesis_watchers", *options, *urls]) as process:
        await process.line("watching", 30 + len(urls))
        yield process


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("urls", nargs="+")
    parser.add_argument("--deaf", action="store_true")
    options = parser.parse_args()
    stop_decoding()
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False)) as http,
        contextlib.AsyncExitStack() as stack,
    ):
        for url in options.urls:
            watcher = await stack.enter_async_context(watching(http, url))
            await watcher.connected.wait()
        if options.deaf:
            lose(1.0, udp_sockets())
        print("watching", flush=True)
        await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    asyncio.run(main())
