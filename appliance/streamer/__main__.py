"""`python -m appliance.streamer`: the specification as one line of JSON on standard input, which stays open.

Exit codes: 0 was told to end, 1 failed, 2 bad specification; the last line on standard error says why.
"""

import asyncio
import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import ValidationError

from appliance.bus.spec import StreamerSpec
from appliance.errors import FanlightError

if TYPE_CHECKING:
    from appliance.streamer.process import Streamer

logger = logging.getLogger("appliance.streamer")

_END_SECONDS = 1.8


def main() -> int:
    """Run one streamer; returns its exit code."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    for library in ("aioice", "aiortc", "nats"):
        logging.getLogger(library).setLevel(logging.WARNING)
    # What programs of the instance say: our parent knows by the level that it is for their log alone.
    logging.getLogger("appliance.processes").setLevel(logging.DEBUG)
    sys.modules.setdefault("aiohttp", None)  # type: ignore[arg-type]  # 0.2 s that only NATS over WebSocket needs
    with _one_thread():  # and before the specification: it may be a while in coming
        from appliance.streamer.process import Streamer

    if not (line := sys.stdin.buffer.readline()):
        return 0
    try:
        spec = StreamerSpec.model_validate_json(line)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        return _fail(2, f"specification: {'.'.join(map(str, first['loc'])) or 'JSON'}: {first['msg']}")
    try:
        asyncio.run(_serve(Streamer(spec), lifeline=line.endswith(b"\n")))
    except Exception as exc:
        cause = _first(exc)
        if isinstance(cause, FanlightError):
            return _fail(1, str(cause))
        logger.exception("the streamer failed")
        return _fail(1, f"internal error: {cause!r}")
    return 0


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """NumPy's OpenBLAS would start one for each core, for nothing. An instance's programs may want them."""
    before = dict(os.environ)
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    try:
        yield
    finally:
        os.environ.clear()
        os.environ |= before


async def _serve(streamer: "Streamer", *, lifeline: bool) -> None:
    """Run until SIGTERM, SIGINT, or the end of standard input: then the parent is gone."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if lifeline:
        with contextlib.suppress(PermissionError):  # a regular file never ends
            loop.add_reader(sys.stdin.fileno(), _watch_parent, stop)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(streamer.run())
        stopping = group.create_task(stop.wait())
        await asyncio.wait((running, stopping), return_when=asyncio.FIRST_COMPLETED)
        if stop.is_set():
            _end_soon()
        running.cancel()
        stopping.cancel()


def _watch_parent(stop: asyncio.Event) -> None:
    if not os.read(sys.stdin.fileno(), 4096):
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        stop.set()


def _end_soon() -> None:
    """A thread of a library that hangs must not keep the process."""
    timer = threading.Timer(_END_SECONDS, os._exit, (0,))
    timer.daemon = True
    timer.start()


def _first(first: BaseException) -> BaseException:
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return first


def _fail(code: int, reason: str) -> int:
    sys.stderr.write(f"{reason}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
