"""One gateway on a bus that is there already, as a process of its own for `bench.gateway`.

`python -m bench.gateway_node FOLDER ACCOUNT` prints `ready URL TOKEN`, the token that of the account it
makes; the bus is in the environment. No TLS: its cost is OpenSSL's, and the same for every gateway.
"""

import asyncio
import sys
from pathlib import Path

from appliance.bus.link import BusLink
from appliance.gateway.service import Gateway
from bench.gateway_boxes import bus_address
from tests.support.gateway import serving, settings

_NO_LIMIT = 100_000


async def main() -> None:
    folder, account = sys.argv[1:]
    link = BusLink(bus_address, "gateway")
    config = settings(limits={"requests_per_second": _NO_LIMIT})
    gateway = Gateway(config, Path(folder), link)
    async with serving(link, gateway):
        token = await gateway.create_account(account)
        print("ready", gateway.url, token, flush=True)
        await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    asyncio.run(main())
