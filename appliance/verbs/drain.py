"""`fanlight drain`: take nobody new, and wait until nobody is there."""

import argparse
import asyncio

from appliance.control import words
from appliance.control.client import ControlClient
from appliance.control.schema import Done, DrainParams
from appliance.control.snapshot import Snapshot
from appliance.verbs.context import Context, note, params


def drain(context: Context, args: argparse.Namespace) -> int:
    """Begin and wait for the last viewer to leave, or end it."""
    wanted = params(DrainParams, on=not args.off, timeout_s=args.timeout)
    asyncio.run(context.client.call("drain", wanted, Done))
    if args.off:
        context.print({"draining": False}, "this box takes everybody again")
        return 0
    asyncio.run(_until_empty(context.client))
    context.print({"draining": True}, "nobody is left; `fanlight drain --off` opens the box again")
    return 0


async def _until_empty(client: ControlClient) -> None:
    told = -1
    async for snapshot in client.watch():
        left = _viewers(snapshot)
        if not left:
            return
        if left != told:
            note(f"{words.one_or_many(left, 'viewer')} left")
            told = left


def _viewers(snapshot: Snapshot) -> int:
    """Of this box: what others stream does not end with a gateway."""
    return sum(len(each.stats.viewers) for each in snapshot.instances if each.stats and not each.box)
