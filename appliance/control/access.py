"""Who may use the control socket: the file's mode, and the credentials the kernel vouches for."""

import contextlib
import grp
import logging
import os
import socket
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from appliance.errors import ConfigError, ConflictError

logger = logging.getLogger(__name__)

GROUP = "fanlight"
_SO_PEERGROUPS = 59
_GROUPS_BYTES = 1024  # the most that socket.getsockopt reads


@dataclass(frozen=True, slots=True)
class Peer:
    """A process at the other end, as it was when it connected (unix(7), SO_PEERCRED)."""

    pid: int
    uid: int
    groups: frozenset[int]

    @classmethod
    def of(cls, connection: socket.socket) -> "Peer":
        """Ask the kernel."""
        size = struct.calcsize("3i")
        pid, uid, gid = struct.unpack(
            "3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
        )
        groups = [gid]
        with contextlib.suppress(OSError):
            raw = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _GROUPS_BYTES)
            groups += struct.unpack(f"{len(raw) // 4}I", raw)
        return cls(pid, uid, frozenset(groups))


def admits(peer: Peer) -> bool:
    """root, the daemon's own user, and members of the group fanlight."""
    return peer.uid in (0, os.geteuid()) or group_id() in peer.groups


def group_id() -> int | None:
    """The group whose members are admins; None where it does not exist."""
    try:
        return grp.getgrnam(GROUP).gr_gid
    except KeyError:
        return None


@contextlib.contextmanager
def listening(path: Path) -> Iterator[socket.socket]:
    """A listening socket at `path`, 0660 for the group; the file goes when it closes.

    Raises ConflictError where a daemon listens already, ConfigError where the place is not usable.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as listener:
        try:
            _prepare(path.parent)
            _remove_stale(path)
            listener.setblocking(False)
            listener.bind(str(path))
            _give_to_group(path, 0o660)
            # Nobody can connect before this line, so nobody meets the mode that bind(2) left.
            listener.listen()
            born = path.stat().st_ino
        except OSError as exc:
            raise ConfigError(f"control socket {path}: {exc.strerror or exc}") from exc
        try:
            yield listener
        finally:
            with contextlib.suppress(OSError):
                if path.stat().st_ino == born:
                    path.unlink()


def _prepare(folder: Path) -> None:
    """Make `folder`, and refuse one that a stranger could have put there."""
    try:
        folder.mkdir(mode=0o750, parents=True)
    except FileExistsError:
        owner = folder.stat().st_uid
        if owner not in (0, os.geteuid()):
            raise ConfigError(f"{folder} belongs to uid {owner}: remove it or name another one") from None
    else:
        _give_to_group(folder, 0o750)


def _give_to_group(path: Path, mode: int) -> None:
    group = group_id()
    if group is not None:
        try:
            os.chown(path, -1, group)
        except PermissionError:
            logger.debug("control: not a member of group %s, so %s stays private", GROUP, path)
    path.chmod(mode)


def _remove_stale(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ConflictError(f"{path} is there and is not a socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except BlockingIOError:
            pass
    raise ConflictError(f"another daemon listens at {path}")
