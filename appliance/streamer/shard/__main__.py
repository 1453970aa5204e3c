"""`python -m appliance.streamer.shard FD`: serves viewers for the streamer at the other end of socket FD."""

import asyncio
import contextlib
import logging
import signal
import socket
import sys

from appliance.errors import InvalidInputError, UnavailableError
from appliance.streamer.shard.guest import Shard
from appliance.streamer.shard.wire import Birth, Link


async def serve(stream: socket.socket) -> None:
    """Until SIGTERM, or until the streamer is gone."""
    task = asyncio.current_task()
    if task:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        link = await Link.over(stream)
        try:
            birth = await link.receive()
            if not isinstance(birth, Birth):
                raise InvalidInputError("the streamer did not say what to serve")
            await Shard(birth, link).run()
        except* UnavailableError as gone:
            logging.getLogger(__name__).info("it ends: %s", gone.exceptions[0])
        finally:
            link.close()


def main() -> None:
    """Serve."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    for library in ("aioice", "aiortc"):
        logging.getLogger(library).setLevel(logging.WARNING)
    asyncio.run(serve(socket.socket(fileno=int(sys.argv[1]))))


if __name__ == "__main__":
    main()
