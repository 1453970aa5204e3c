"""`fanlight recordings`."""

import argparse
import asyncio

from appliance.control import words
from appliance.control.schema import Recordings
from appliance.verbs.context import Context, day, table


def recordings(context: Context, _: argparse.Namespace) -> int:
    """List what was recorded, the oldest first."""
    found = asyncio.run(context.client.call("recordings", None, Recordings))
    rows = [
        (
            each.name,
            day(each.began),
            words.duration(each.length_s),
            words.amount(each.size),
            "recording" if each.running else each.file,
        )
        for each in found.recordings
    ]
    heads = ("NAME", "BEGAN", "LENGTH", "SIZE", "FILE")
    context.print(found, table(heads, rows, f"nothing is recorded in {found.directory}"))
    return 0
