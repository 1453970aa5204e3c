"""An Xvfb of a size, perhaps of another user."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass
class Server:
    process: subprocess.Popen[bytes]
    display: str

    def end(self) -> None:
        """Once it is gone; it may have gone before."""
        self.process.terminate()
        self.process.wait(10)


def start_server(width: int = 1280, height: int = 720, *arguments: str, user: int | None = None) -> Server:
    """Ready once returned; on a free display where `arguments` name none."""
    reading, writing = os.pipe()
    process = subprocess.Popen(
        ["Xvfb", *arguments, "-displayfd", str(writing), "-screen", "0", f"{width}x{height}x24",
         "-nolisten", "tcp", "-noreset"],
        pass_fds=(writing,), stderr=subprocess.DEVNULL, user=user,
    )  # fmt: skip
    os.close(writing)
    with os.fdopen(reading) as answer:
        number = answer.readline().strip()
    assert number, "Xvfb did not start"
    return Server(process, f":{number}")


@contextlib.contextmanager
def served(width: int = 1280, height: int = 720, *arguments: str) -> Iterator[str]:
    """The display of such a server, which ends with the block."""
    server = start_server(width, height, *arguments)
    try:
        yield server.display
    finally:
        server.end()
