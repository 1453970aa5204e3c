"""`python -m tui`: the terminal UI of this box."""

import argparse
import sys
from pathlib import Path

from appliance import paths
from appliance.control.client import ControlClient
from tui.app import FanlightApp


def main() -> int:
    """Run until the user quits."""
    parser = argparse.ArgumentParser(prog="python -m tui", description="The terminal UI of Fanlight.")
    socket = paths.client_socket(paths.runtime_dir())
    parser.add_argument("--socket", type=Path, default=socket, help=f"control socket (default {socket})")
    parser.add_argument("--read-only", action="store_true", help="look, and change nothing")
    args = parser.parse_args()
    app = FanlightApp(ControlClient(args.socket), read_only=args.read_only)
    app.run()
    return app.return_code or 0


if __name__ == "__main__":
    sys.exit(main())
