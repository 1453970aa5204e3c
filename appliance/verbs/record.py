"""`fanlight record start | stop`."""

import argparse
import asyncio
import signal
from pathlib import Path

from appliance.control.client import ControlClient
from appliance.control.schema import Done, IdParams, Recordings
from appliance.errors import NotFoundError
from appliance.verbs.context import Context, note


def start(context: Context, args: argparse.Namespace) -> int:
    """Record from now on; with a file, until Ctrl-C."""
    if args.file:
        _check(args.file)
        recorded = asyncio.run(_until_interrupted(context.client, args.instance))
        return _tell(context, args, recorded)
    asyncio.run(context.client.call("record.start", IdParams(id=args.instance), Done))
    context.print({"instance": args.instance, "recorded": True}, f"{args.instance} is recorded")
    return 0


def stop(context: Context, args: argparse.Namespace) -> int:
    """Record no more."""
    if args.file:
        _check(args.file)
    recorded = asyncio.run(context.client.call("record.stop", IdParams(id=args.instance), Recordings))
    return _tell(context, args, recorded)


async def _until_interrupted(client: ControlClient, instance: str) -> Recordings:
    asked = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, asked.set)
    await client.call("record.start", IdParams(id=instance), Done)
    note(f"{instance} is recorded, until Ctrl-C")
    async for snapshot in client.watch():
        if asked.is_set():
            break
        if not any(instance in (each.id, each.session, each.application) for each in snapshot.instances):
            raise NotFoundError(f"{instance} has ended; `fanlight recordings` lists what was recorded")
    return await client.call("record.stop", IdParams(id=instance), Recordings)


def _tell(context: Context, args: argparse.Namespace, recorded: Recordings) -> int:
    """Print the files: those that were asked for, or where the recording is kept."""
    kept = [each.file for each in recorded.recordings]
    written = [str(each) for each in _remux(kept, args.file)] if args.file else []
    data = {"instance": args.instance, "recorded": False, "recordings": kept, "files": written}
    context.print(data, "\n".join(written or kept) or f"nothing was recorded of {args.instance}")
    return 0


def _check(target: Path) -> None:
    from appliance.verbs import remux  # PyAV takes a while to load

    remux.check(target)


def _remux(files: list[str], target: Path) -> list[Path]:
    from appliance.verbs import remux

    return remux.remux([Path(each) for each in files], target)
