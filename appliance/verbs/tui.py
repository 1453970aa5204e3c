"""`fanlight tui`: the terminal UI, here or over ssh."""

import argparse
import os

from appliance.errors import InvalidInputError, UnavailableError
from appliance.verbs.context import Context


def tui(context: Context, args: argparse.Namespace) -> int:
    """Show this box, or run the same verb on another."""
    if args.box:
        return _over_ssh(args.box, read_only=args.read_only)
    from tui.app import FanlightApp

    app = FanlightApp(context.client, read_only=args.read_only)
    app.run()
    return app.return_code or 0


def _over_ssh(box: str, *, read_only: bool) -> int:
    if box.startswith("-"):
        raise InvalidInputError(f"{box!r} is not a host")
    command = ["ssh", "-t", box, "fanlight", "tui", *(["--read-only"] if read_only else [])]
    try:
        os.execvp("ssh", command)  # noqa: S606  ssh takes over this terminal
    except FileNotFoundError as exc:
        raise UnavailableError("ssh is not installed: apt install openssh-client") from exc
