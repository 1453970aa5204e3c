"""What a person at the terminal sees when the box is ready: address, QR code, PIN."""

import io
import os
import sys
import time

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
        f"  PIN    {pin}  (for {minutes} minutes, once; `fanlight pair` shows a new one)",
        "",
    )
    print("\n".join(lines), file=sys.stderr, flush=True)  # noqa: T201
