"""`fanlight status`: one screen that says how the box is."""

import argparse
import asyncio

from appliance.control import words
from appliance.control.snapshot import Instance, Snapshot
from appliance.verbs.context import Context
from appliance.verbs.instances import instance_table
from appliance.verbs.viewers import viewer_table


def status(context: Context, _: argparse.Namespace) -> int:
    """Print the snapshot."""
    snapshot = asyncio.run(context.client.call("snapshot", None, Snapshot))
    context.print(snapshot, report(snapshot))
    return 0


def report(snapshot: Snapshot) -> str:
    """The snapshot as text: problems before anything else."""
    box = snapshot.box
    place = "".join(f"  {each}" for each in (box.region, box.location) if each)
    head = f"{box.name}  {' '.join(words.HEALTH[box.health])}  up {words.duration(box.uptime_s)}{place}"
    blocks = [
        [f"{head}  fanlight {box.version}", *box.urls],
        _problems(snapshot),
        [f"{words.mark(part.ok)} {part.name:<12} {part.detail}".rstrip() for part in snapshot.parts],
        _hardware(snapshot),
        _pictures(snapshot.instances),
        instance_table(snapshot.instances).splitlines(),
        _viewers(snapshot.instances),
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block)


def _problems(snapshot: Snapshot) -> list[str]:
    lines = []
    for each in snapshot.problems:
        lines.append(f"{'✗' if each.severity == 'error' else '▲'} {each.severity}: {each.what}")
        if each.fix:
            lines.append(f"    fix: {each.fix}")
    return lines


def _hardware(snapshot: Snapshot) -> list[str]:
    hardware = snapshot.hardware
    gpus = [f"GPU {each.name}  {each.driver}  {each.render_node}".rstrip() for each in hardware.gpus]
    return [*gpus, *([hardware.reason] if hardware.reason else [])]


def _pictures(instances: list[Instance]) -> list[str]:
    """Which screen and which encoder each instance has, and why."""
    lines = []
    for each in instances:
        if each.stats and each.stats.source and each.why:
            lines.append(f"{each.application} shows {each.stats.source}: {each.why}")
        if each.stats and each.stats.encoder:
            why = f": {each.stats.encoder_reason}" if each.stats.encoder_reason else ""
            lines.append(f"{each.application} is encoded by {words.encoder(each)}{why}")
    return lines


def _viewers(instances: list[Instance]) -> list[str]:
    found = [(each, viewer) for each in instances if each.stats for viewer in each.stats.viewers]
    return viewer_table(found).splitlines()
