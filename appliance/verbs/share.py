"""`fanlight share | shares | unshare | pair | devices | unpair`: who may come in."""

import argparse
import asyncio
import io
import sys
import time
from datetime import UTC, datetime

import segno

from appliance.control import words
from appliance.control.credentials import Devices, Pin, Role, Share, ShareParams, Shares
from appliance.control.schema import Done, IdParams
from appliance.verbs.context import Context, note, params, table


def share(context: Context, args: argparse.Namespace) -> int:
    """Make a link; plain output is the link alone."""
    wanted = params(ShareParams, instance=args.instance, role=Role(args.role), expires_s=args.expires)
    made = asyncio.run(context.client.call("share", wanted, Share))
    if not context.json:
        note(f"role {made.role}, for {words.duration(made.expires_at - time.time())}")
    context.print(made, made.url)
    return 0


def shares(context: Context, _: argparse.Namespace) -> int:
    """List the links that still hold."""
    found = asyncio.run(context.client.call("shares", None, Shares)).shares
    rows = [
        (
            each.id,
            each.application or words.NA,
            each.role,
            _day(each.created_at),
            _day(each.expires_at),
            each.description,
        )
        for each in found
    ]
    heads = ("ID", "APPLICATION", "ROLE", "MADE", "UNTIL", "DESCRIPTION")
    context.print(found, table(heads, rows, "nothing is shared"))
    return 0


def unshare(context: Context, args: argparse.Namespace) -> int:
    """Revoke a link."""
    asyncio.run(context.client.call("unshare", IdParams(id=args.id), Done))
    context.print({"unshared": args.id}, f"unshared {args.id}")
    return 0


def pair(context: Context, _: argparse.Namespace) -> int:
    """Make a PIN, and show where to type it."""
    made = asyncio.run(context.client.call("pair", None, Pin))
    lasts = words.duration(made.expires_at - time.time())
    if sys.stdout.isatty() and not context.json:
        note(_qr(made.url))
    context.print(made, f"PIN  {made.pin}\nURL  {made.url}\nfor  {lasts}, one browser")
    return 0


def devices(context: Context, _: argparse.Namespace) -> int:
    """List the paired browsers."""
    found = asyncio.run(context.client.call("devices", None, Devices)).devices
    rows = [(each.id, each.name, each.role, _day(each.paired_at), _day(each.last_seen)) for each in found]
    context.print(found, table(("ID", "NAME", "ROLE", "PAIRED", "LAST SEEN"), rows, "no browser is paired"))
    return 0


def unpair(context: Context, args: argparse.Namespace) -> int:
    """Forget a paired browser."""
    asyncio.run(context.client.call("unpair", IdParams(id=args.id), Done))
    context.print({"unpaired": args.id}, f"unpaired {args.id}")
    return 0


def _day(unix: int | None) -> str:
    return (
        words.NA
        if unix is None
        else datetime.fromtimestamp(unix, UTC).astimezone().strftime("%Y-%m-%d %H:%M")
    )


def _qr(url: str) -> str:
    out = io.StringIO()
    segno.make(url, error="l", micro=False).terminal(out, compact=True)
    return out.getvalue()
