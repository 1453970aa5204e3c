"""An Xvfb of a size, perhaps of another user."""

import os
import subprocess
from dataclasses import dataclass


@dataclass
class Server:
    process: subprocess.Popen[bytes]
    display: str


def start_server(width: int, height: int, *arguments: str, user: int | None = None) -> Server:
    reading, writing = os.pipe()
    process = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writing), "-screen", "0", f"{width}x{height}x24", "-nolisten", "tcp",
         "-noreset", "+extension", "RANDR", *arguments],
        pass_fds=(writing,), stderr=subprocess.DEVNULL, user=user,
    )  # fmt: skip
    os.close(writing)
    with os.fdopen(reading) as number:
        return Server(process, f":{number.readline().strip()}")
