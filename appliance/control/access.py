"""Who may use the control socket: the file's mode, and the credentials the kernel vouches for."""

import contextlib
import grp
import logging
import os
import socket
import stat
import struct
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


@dataclass(frozen=True, slots=True)
class Door:
    """A listening socket at `path`, 0660 for the group whose members may come in."""

    path: Path
    listener: socket.socket
    inode: int
    group: int | None

    @classmethod
    def open(cls, path: Path) -> "Door":
        """Listen at `path`. Blocks for a moment.

        Raises ConflictError where a daemon listens already, ConfigError where the place is not usable.
        """
        group = group_id()
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            _prepare(path.parent, group)
            _remove_stale(path)
            listener.setblocking(False)
            listener.bind(str(path))
            _give(path, group, 0o660)
            # Nobody can connect before this line, so nobody meets the mode that bind(2) left.
            listener.listen()
            return cls(path, listener, path.stat().st_ino, group)
        except OSError as exc:
            listener.close()
            raise ConfigError(f"control socket {path}: {exc.strerror or exc}") from exc
        except BaseException:
            listener.close()
            raise

    def close(self) -> None:
        """Stop listening, and take the file away unless it is another daemon's by now."""
        self.listener.close()
        with contextlib.suppress(OSError):
            if self.path.stat().st_ino == self.inode:
                self.path.unlink()

    def admits(self, peer: Peer) -> bool:
        """root, the daemon's own user, and members of the group fanlight."""
        return peer.uid in (0, os.geteuid()) or self.group in peer.groups


def group_id() -> int | None:
    """The group whose members are admins; None where it does not exist."""
    try:
        return grp.getgrnam(GROUP).gr_gid
    except KeyError:
        return None


def _prepare(folder: Path, group: int | None) -> None:
    """Make `folder`, and refuse one that a stranger could have put there."""
    try:
        folder.mkdir(mode=0o750, parents=True)
    except FileExistsError:
        owner = folder.stat().st_uid
        if owner not in (0, os.geteuid()):
            raise ConfigError(f"{folder} belongs to uid {owner}: remove it or name another one") from None
    else:
        _give(folder, group, 0o750)


def _give(path: Path, group: int | None, mode: int) -> None:
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
