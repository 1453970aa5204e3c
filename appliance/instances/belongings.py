"""What an instance has of its own while it runs: a directory with what its client sent, and its variables.

$FANLIGHT_INSTANCE_DIR/userdata         as it was given
$FANLIGHT_INSTANCE_DIR/extra_data.json  JSON, where the client sent some
$FANLIGHT_INSTANCE_DIR/sockets/         webrtc_data_<name> for every data channel that a client opens
$FANLIGHT_INSTANCE_DIR/sound/           the socket of its sound server, where it has one of its own
"""

import asyncio
import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

from appliance.instances.instance import Instance

_SOCKETS = "sockets"


class Belongings:
    """The directories of all instances, below `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def sockets(self, instance: str) -> Path:
        """Where the data channels of its viewers end."""
        return self._root / instance / _SOCKETS

    def sound(self, instance: str) -> Path:
        """Where its sound server lives."""
        return self._root / instance / "sound"

    @contextlib.asynccontextmanager
    async def claimed(self) -> AsyncIterator[None]:
        """Ours from here on; what a daemon that was killed left behind is removed. Raises OSError."""
        claim = await asyncio.to_thread(self._claim)
        try:
            yield
        finally:
            os.close(claim)

    def _claim(self) -> int:
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        claim = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        with contextlib.suppress(BlockingIOError):  # another daemon lives, and so does what is here
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for left in self._root.iterdir():
                shutil.rmtree(left, ignore_errors=True)
        return claim

    def remove(self, instance: str) -> None:
        """Remove all that `instance` has. Blocks."""
        shutil.rmtree(self._root / instance, ignore_errors=True)

    def hand_over(self, instance: Instance) -> dict[str, str]:
        """Write what `instance` was given; returns its environment. Blocks; raises OSError."""
        directory, wish = self._root / instance.id, instance.wish
        directory.mkdir(mode=0o700)
        (directory / _SOCKETS).mkdir(mode=0o700)
        (directory / "userdata").write_text(wish.userdata, encoding="utf-8")
        if wish.extra_data is not None:
            (directory / "extra_data.json").write_text(json.dumps(wish.extra_data), encoding="utf-8")
        known = {
            "FANLIGHT_INSTANCE": instance.id,
            "FANLIGHT_INSTANCE_DIR": str(directory),
            "FANLIGHT_SESSION": instance.session or "",
            "FANLIGHT_APP": instance.application.name,
            # -1 and 0 are words for the latest, which is what a box has.
            "FANLIGHT_APP_VERSION": str(wish.version) if wish.version and wish.version > 0 else "",
        }
        return {**instance.application.env, **{name: value for name, value in known.items() if value}}
