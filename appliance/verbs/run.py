"""`fanlight run`: the daemon."""

import argparse

from appliance.verbs.context import Context


def run(context: Context, _: argparse.Namespace) -> int:
    """Serve until SIGTERM."""
    from appliance import daemon

    return daemon.run(context.file, context.state_dir, context.runtime_dir)
