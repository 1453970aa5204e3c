"""A sound server of an instance's own: what its programs play, its viewers hear, and nobody else."""

import asyncio
import logging
import os
import shutil
import socket
from collections.abc import Mapping
from pathlib import Path

from appliance.errors import UnavailableError
from appliance.processes import child, surroundings

logger = logging.getLogger(__name__)

PROGRAM = "pulseaudio"
_RESTART_SECONDS = 1.0
_NAMED = "PULSE_SERVER"
_ON_OUR_SOCKET = ("sh", "-c", 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" "$@" 3<&0 0</dev/null')
"""As systemd hands a socket over (sd_listen_fds(3))."""


class SoundServer:
    """A PulseAudio with one output, on a socket that outlives it: who comes while it is away waits."""

    def __init__(self, directory: Path) -> None:
        """`directory` is made; what is in it is the server's. Raises OSError."""
        self._directory = directory
        self._path = directory / "native"
        directory.mkdir(mode=0o700)
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._socket.bind(str(self._path))
            self._socket.listen()
        except OSError:
            self._socket.close()
            raise

    @property
    def env(self) -> dict[str, str]:
        """For programs that are to play there."""
        return {_NAMED: f"unix:{self._path}"}

    async def run(self) -> None:
        """Until cancelled; a server that ends comes again."""
        modules = (f"module-native-protocol-unix socket={self._path}", "module-null-sink sink_name=fanlight")
        command = (
            *_ON_OUR_SOCKET, PROGRAM, "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no",
            "--realtime=no", "--high-priority=no", *(part for each in modules for part in ("-L", each)),
        )  # fmt: skip
        own = {name: str(self._directory) for name in ("HOME", "XDG_RUNTIME_DIR")}
        while True:
            try:
                async with child(
                    command, name=PROGRAM, env=surroundings() | own, stdin=self._socket.fileno()
                ) as server:
                    code = await server.wait()
                    logger.warning("%s ended with %s: %s", PROGRAM, code, server.last_words)
            except UnavailableError as exc:
                logger.warning("no sound: %s", exc)
            await asyncio.sleep(_RESTART_SECONDS)

    def close(self) -> None:
        """Nobody comes any more."""
        self._socket.close()


def is_wanted(env: Mapping[str, str]) -> bool:
    """Whether programs with `env` get a server of their own: none is named, and we have one. Blocks."""
    return not (env.get(_NAMED) or os.environ.get(_NAMED)) and shutil.which(PROGRAM) is not None
