"""Where state and the control socket live; the same answer for the daemon, the CLI and the TUI."""

import os
from collections.abc import Mapping
from pathlib import Path

_NAME = "fanlight"
_SERVICE = Path("/run") / _NAME


def state_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """What survives a reboot: keys, devices, accounts."""
    if named := environ.get("FANLIGHT_STATE_DIR") or _first(environ.get("STATE_DIRECTORY")):
        return Path(named)
    if os.geteuid() == 0:
        return Path("/var/lib") / _NAME
    home = environ.get("XDG_STATE_HOME") or str(Path(environ.get("HOME", "/")) / ".local/state")
    return Path(home) / _NAME


def runtime_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """What ends with the daemon: the control socket."""
    if named := environ.get("FANLIGHT_RUNTIME_DIR") or _first(environ.get("RUNTIME_DIRECTORY")):
        return Path(named)
    if os.geteuid() == 0:
        return _SERVICE
    if base := environ.get("XDG_RUNTIME_DIR"):
        return Path(base) / _NAME
    return Path(f"/tmp/{_NAME}-{os.geteuid()}")  # noqa: S108  the server checks who owns it


def control_socket(runtime: Path) -> Path:
    """The control socket in `runtime`."""
    return runtime / "control.sock"


def client_socket(runtime: Path) -> Path:
    """Where a client finds the daemon: in `runtime`, else where the service of this machine has it."""
    own, service = control_socket(runtime), control_socket(_SERVICE)
    return service if not _exists(own) and _exists(service) else own


def _exists(path: Path) -> bool:
    """Where we may not look something is kept from us: who connects is told so."""
    try:
        path.stat()
    except PermissionError:
        return True
    except OSError:
        return False
    return True


def _first(listed: str | None) -> str:
    """systemd lists several directories with colons (systemd.exec(5))."""
    return (listed or "").split(":")[0]
