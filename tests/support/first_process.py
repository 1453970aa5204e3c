"""The first process of a machine that is there for one script: see kernel.py."""

import ctypes
import os
import subprocess
import sys
import traceback
from pathlib import Path

_FINIT_MODULE = 313
_POWER_OFF = 0x4321FEDC


def main() -> None:
    """Devices, drivers, the script, and off."""
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        _check(libc.mount(b"dev", b"/dev", b"devtmpfs", 0, None))
        for driver in sorted(Path("/modules").iterdir()):
            with driver.open("rb") as file:
                _check(libc.syscall(_FINIT_MODULE, file.fileno(), b"", 0))
        subprocess.run([sys.executable, "-P", "/script.py"], check=True)
    except (OSError, subprocess.CalledProcessError):
        traceback.print_exc()
    finally:
        libc.reboot(_POWER_OFF)


def _check(result: int) -> None:
    if result:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


if __name__ == "__main__":
    main()
