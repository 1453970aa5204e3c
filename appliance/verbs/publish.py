"""`fanlight publish`: streams that go to other servers as well, by WHIP."""

import argparse
import asyncio

from appliance.control.schema import Done, PublishParams
from appliance.control.snapshot import Snapshot
from appliance.errors import InvalidInputError
from appliance.verbs.context import Context, params, table


def publish(context: Context, args: argparse.Namespace) -> int:
    """Begin, end, or list what is published."""
    if bool(args.app) != (bool(args.whip) != args.stop):
        raise InvalidInputError("publish: APP --whip URL, APP --stop, or nothing to list what is published")
    if not args.app:
        return _list(context)
    wanted = params(PublishParams, instance=args.app, url=args.whip or "", token=_token(args))
    asyncio.run(context.client.call("publish", wanted, Done))
    done = {"instance": args.app, "published": not args.stop}
    context.print(done, f"{args.app} is published{' no more' if args.stop else ''}")
    return 0


def _list(context: Context) -> int:
    running = asyncio.run(context.client.call("snapshot", None, Snapshot)).instances
    rows = [
        (each.id, each.application, each.stats.published)
        for each in running
        if each.stats and each.stats.published
    ]
    names = ("instance", "application", "published")
    data = [dict(zip(names, row, strict=True)) for row in rows]
    context.print(data, table([name.upper() for name in names], rows, "nothing is published"))
    return 0


def _token(args: argparse.Namespace) -> str:
    if not args.token_file:
        return str(args.token)
    try:
        return str(args.token_file.read_text(encoding="utf-8").strip())
    except (OSError, UnicodeDecodeError) as exc:
        raise InvalidInputError(f"{args.token_file}: {exc}") from exc
