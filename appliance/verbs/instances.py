"""`fanlight apps | launch | instances [logs] | keyframe | stop`."""

import argparse
import asyncio

from appliance.control import words
from appliance.control.schema import Done, IdParams, InstanceLogs, InstanceLogsParams, Launched, LaunchParams
from appliance.control.snapshot import Instance, Snapshot
from appliance.verbs.context import Context, note, params, table


def apps(context: Context, _: argparse.Namespace) -> int:
    """List what can be launched."""
    found = asyncio.run(context.client.call("snapshot", None, Snapshot)).applications
    rows = [(each.name, words.kind(each), "yes" if each.autostart else "no") for each in found]
    context.print(found, table(("NAME", "KIND", "AUTOSTART"), rows, "no applications are configured"))
    return 0


def launch(context: Context, args: argparse.Namespace) -> int:
    """Start an application; plain output is the instance's id."""
    width, height = args.size or (None, None)
    wanted = params(
        LaunchParams,
        application=args.app,
        width=width,
        height=height,
        fps=args.fps,
        streaming=not args.no_streaming,
    )
    launched = asyncio.run(context.client.call("launch", wanted, Launched))
    if launched.session and not context.json:
        note(f"session {launched.session}; a link to it: fanlight share {launched.instance}")
    context.print(launched, launched.instance)
    return 0


def instances(context: Context, _: argparse.Namespace) -> int:
    """List what runs."""
    found = asyncio.run(context.client.call("snapshot", None, Snapshot)).instances
    context.print(found, instance_table(found))
    return 0


def logs(context: Context, args: argparse.Namespace) -> int:
    """Tell what an instance, its streamer and its programs said lately."""
    wanted = InstanceLogsParams(id=args.id, name=args.name)
    said = asyncio.run(context.client.call("instance.logs", wanted, InstanceLogs))
    context.print(said, "\n".join(map(words.printable, said.lines)))
    return 0


def keyframe(context: Context, args: argparse.Namespace) -> int:
    """Ask an instance's encoder for a keyframe."""
    asyncio.run(context.client.call("keyframe", IdParams(id=args.instance), Done))
    context.print({"keyframe": args.instance}, f"asked {args.instance} for a keyframe")
    return 0


def stop(context: Context, args: argparse.Namespace) -> int:
    """Stop an instance."""
    asyncio.run(context.client.call("stop", IdParams(id=args.id), Done))
    context.print({"stopped": args.id}, f"stopped {args.id}")
    return 0


def instance_table(found: list[Instance]) -> str:
    """One line an instance, with its box where that is another."""
    heads: tuple[str, ...] = (
        "ID",
        "APPLICATION",
        "STATE",
        "SIZE",
        "FPS",
        "RATE",
        "ENCODER",
        "VIEWERS",
        "UP",
        "RESTARTS",
        "DETAIL",
    )
    rows = [_row(each) for each in found]
    if any(each.box for each in found):
        heads = ("BOX", *heads)
        rows = [(each.box, *row) for each, row in zip(found, rows, strict=True)]
    return table(heads, rows, "nothing runs")


def _row(each: Instance) -> tuple[str, ...]:
    stats = each.stats
    return (
        each.id,
        each.application,
        " ".join(words.INSTANCE[each.state]),
        words.size(stats.width, stats.height) if stats else words.NA,
        words.rate_of(stats.fps, stats.target_fps) if stats else words.NA,
        words.bitrate(stats.bitrate_kbps) if stats else words.NA,
        words.encoder(each),
        str(len(stats.viewers)) if stats else words.NA,
        words.duration(each.uptime_s),
        words.number(each.restarts, digits=0),
        (stats.problem if stats else "") or each.detail,
    )
