"""`fanlight run | gateway`: the daemons."""

import argparse

from appliance.verbs.context import Context


def run(context: Context, _: argparse.Namespace) -> int:
    """Serve until SIGTERM."""
    from appliance import daemon

    return daemon.run(context.file, context.state_dir, context.runtime_dir)


def gateway(context: Context, _: argparse.Namespace) -> int:
    """Serve until SIGTERM, without anything that captures."""
    from appliance import gatewayd

    return gatewayd.run(context.file, context.state_dir, context.runtime_dir)
