"""What a person at the terminal sees when the box is ready: address, QR code, PIN."""

import io
import os
import shlex
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import segno

from appliance.gateway.service import Gateway


async def greet(gateway: Gateway) -> None:
    """Print to standard error if a person is there, or FANLIGHT_GREET is set (install.sh --run)."""
    if not (os.environ.get("FANLIGHT_GREET") or sys.stderr.isatty()):
        return
    pin, expires_at = await gateway.new_pin()
    picture = io.StringIO()
    segno.make(gateway.url, error="l").terminal(picture, compact=True, border=2)
    minutes = max(1, round((expires_at - time.time()) / 60))
    lines = (
        picture.getvalue(),
        f"  Open   {gateway.url}",
        *(f"  or     {url}" for url in gateway.urls()[1:4]),
        f"  PIN    {pin}  (for {minutes} minutes, once; `{command()} pair` shows a new one)",
        "",
    )
    print("\n".join(lines), file=sys.stderr, flush=True)  # noqa: T201


def command(argv: Sequence[str] = sys.argv) -> str:
    """How this program is called from another terminal: by its path where PATH leads elsewhere."""
    own = Path(argv[0]).absolute()
    if own.name != "fanlight":
        return f"{shlex.quote(sys.executable)} -m appliance"
    found = shutil.which("fanlight")
    return "fanlight" if found and Path(found).samefile(own) else shlex.quote(str(own))
