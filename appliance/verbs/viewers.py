"""`fanlight sessions | viewers | kick`."""

import argparse
import asyncio

from appliance.control import words
from appliance.control.schema import Done, IdParams
from appliance.control.snapshot import Instance, Snapshot, ViewerStats
from appliance.verbs.context import Context, table


def sessions(context: Context, _: argparse.Namespace) -> int:
    """List the sessions."""
    found = asyncio.run(context.client.call("snapshot", None, Snapshot)).sessions
    rows = [
        (each.id, each.application, each.status, each.instance or words.NA, str(each.viewers), each.message)
        for each in found
    ]
    heads = ("ID", "APPLICATION", "STATUS", "INSTANCE", "VIEWERS", "MESSAGE")
    context.print(found, table(heads, rows, "no sessions"))
    return 0


def viewers(context: Context, _: argparse.Namespace) -> int:
    """List who is connected."""
    running = asyncio.run(context.client.call("snapshot", None, Snapshot)).instances
    found = [
        (instance, viewer) for instance in running if instance.stats for viewer in instance.stats.viewers
    ]
    data = [{"instance": instance.id, **viewer.model_dump(mode="json")} for instance, viewer in found]
    context.print(data, viewer_table(found))
    return 0


def kick(context: Context, args: argparse.Namespace) -> int:
    """Disconnect a viewer."""
    asyncio.run(context.client.call("kick", IdParams(id=args.id), Done))
    context.print({"kicked": args.id}, f"disconnected {args.id}")
    return 0


def viewer_table(found: list[tuple[Instance, ViewerStats]]) -> str:
    """One line a viewer."""
    heads = ("ID", "WHO", "ROLE", "WATCHES", "BY", "PATH", "LATENCY", "RTT", "LOSS", "RATE", "DROPPED", "FOR")
    rows = [
        (
            viewer.id,
            words.viewer(viewer),
            viewer.role,
            instance.application,
            viewer.dialect,
            viewer.pair or words.NA,
            words.number(viewer.latency_ms, "ms", 0),
            words.number(viewer.rtt_ms, "ms"),
            words.number(viewer.loss_percent, "%"),
            words.bitrate(viewer.bitrate_kbps),
            str(viewer.frames_dropped),
            words.duration(viewer.age_s),
        )
        for instance, viewer in found
    ]
    return table(heads, rows, "nobody watches")
