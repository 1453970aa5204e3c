"""As whom the machine is tried: what root, or a member of the group, may open says nothing of the daemon."""

import concurrent.futures.thread  # noqa: F401 - with its first thread asyncio would, as a user who may not read it
import contextlib
import multiprocessing
import os
import pwd
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_SAFE_PATH = "PYTHONSAFEPATH"


def daemons_user(control_socket: Path, state_dir: Path) -> int:
    """Who owns the daemon's socket, else its state; where neither is there, who asks. Blocks."""
    for each in (control_socket, state_dir):
        with contextlib.suppress(OSError):
            return each.stat().st_uid
    return os.geteuid()


def name_of(uid: int) -> str:
    """The name of a user, else its number."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def tried_as(uid: int, runtime_dir: Path, legs: Callable[..., T], *args: object) -> T:
    """What `legs` gives in a process of user `uid` with a service's environment. Blocks; root only.

    Raises BrokenProcessPool where there is no such process.
    """
    spawn = multiprocessing.get_context("spawn")
    with _ours_alone(), ProcessPoolExecutor(1, spawn, _become, (uid, runtime_dir, legs, args)) as pool:
        return pool.submit(legs, *args).result()


@contextlib.contextmanager
def _ours_alone() -> Iterator[None]:
    """Processes begin as root: they import nothing of the working directory, which may be anybody's."""
    os.environ[_SAFE_PATH] = "1"
    try:
        yield
    finally:
        del os.environ[_SAFE_PATH]


def _become(uid: int, runtime_dir: Path, *_: object) -> None:
    """What goes along is imported by now: root may read where the user may not."""
    user, path = pwd.getpwuid(uid), os.environ.get("PATH", os.defpath)
    os.environ.clear()  # a display or a sound server that is named there is of somebody else's session
    os.environ |= {"PATH": path, "HOME": user.pw_dir, "XDG_RUNTIME_DIR": str(runtime_dir)}
    os.initgroups(user.pw_name, user.pw_gid)
    os.setgid(user.pw_gid)
    os.setuid(uid)
