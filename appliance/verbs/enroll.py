"""`fanlight enroll URL CODE | create | list | delete`: boxes of a gateway elsewhere."""

import argparse
import asyncio
import os
import time
from datetime import UTC, datetime

from appliance import config_file
from appliance.agent import enrolment
from appliance.bus.permits import BoxUser, users
from appliance.control import words
from appliance.control.credentials import Code, CodeParams, EnrolledBoxes, NameParams
from appliance.control.schema import Done
from appliance.storage import give_to_owner, remembered
from appliance.verbs.context import Context, note, params, table


def enroll(context: Context, args: argparse.Namespace) -> int:
    """Register this box; works without its daemon, which takes it up at its next start."""
    settings = config_file.load(context.file)
    identity = context.state_dir / "box-id"
    box = remembered(identity, os.urandom(8).hex())
    give_to_owner(context.state_dir, identity)
    made = asyncio.run(
        enrolment.enroll(context.state_dir, args.url, args.code, box=box, name=settings.box.name)
    )
    if settings.gateway.mode != "remote":
        note('set mode = "remote" in [gateway], then: systemctl restart fanlight')
    shown = {"name": made.name, "gateway": made.gateway, "bus": made.bus}
    context.print(shown, f"enrolled as {made.name} at {made.gateway}")
    return 0


def create(context: Context, args: argparse.Namespace) -> int:
    """Make a code; plain output is what to run on the box."""
    made = asyncio.run(context.client.call("enroll.create", params(CodeParams, name=args.name), Code))
    if not context.json:
        note(f"for {words.duration(made.expires_at - time.time())}, one box; run there:")
    context.print(made, f"fanlight enroll {made.url} {made.code}")
    return 0


def list_all(context: Context, args: argparse.Namespace) -> int:
    """List the boxes."""
    found = asyncio.run(context.client.call("enroll.list", None, EnrolledBoxes)).boxes
    if args.nats:
        text = users(BoxUser(each.id, each.key) for each in found)
        context.print({"users": text}, text)
        return 0
    rows = [(each.name, each.id, _day(each.enrolled_at), "yes" if each.answers else "no") for each in found]
    context.print(found, table(("NAME", "ID", "ENROLLED", "ANSWERS"), rows, "no box is enrolled"))
    return 0


def delete(context: Context, args: argparse.Namespace) -> int:
    """Revoke a box."""
    asyncio.run(context.client.call("enroll.delete", NameParams(name=args.name), Done))
    context.print({"deleted": args.name}, f"deleted {args.name}")
    return 0


def _day(unix: int) -> str:
    return datetime.fromtimestamp(unix, UTC).astimezone().strftime("%Y-%m-%d %H:%M")
