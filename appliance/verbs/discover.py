"""`fanlight discover`: boxes on the local network."""

import argparse
import asyncio
import dataclasses

from appliance.control.words import NA
from appliance.verbs.context import Context, table


def discover(context: Context, args: argparse.Namespace) -> int:
    """Listen to mDNS for a while, then list who answered."""
    from appliance.discovery import browse

    found = asyncio.run(browse.browse(args.timeout))
    rows = [
        (
            each.name,
            each.url,
            each.txt.get("state") or NA,
            each.txt.get("gpu") or NA,
            each.txt.get("enc") or NA,
            ", ".join(each.addresses),
        )
        for each in found
    ]
    none = f"no box answered within {args.timeout:g} s"
    context.print([dataclasses.asdict(each) for each in found], table(_HEADS, rows, none))
    return 0


_HEADS = ("NAME", "URL", "STATE", "GPU", "ENCODER", "ADDRESSES")
