"""A real coturn."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from tests.support.box import Running, running

_OPTIONS = ("fingerprint", "realm=test", "no-cli", "no-tls", "no-dtls", "allow-loopback-peers", "simple-log")


@contextlib.asynccontextmanager
async def coturn(
    directory: Path, address: str, port: int, *options: str, prefix: Sequence[str] = ()
) -> AsyncIterator[Running]:
    """A TURN server on UDP and TCP; `options` are lines of its configuration."""
    lines = [
        f"listening-ip={address}", f"relay-ip={address}", f"listening-port={port}", "log-file=stdout",
        f"pidfile={directory / 'turn.pid'}", f"userdb={directory / 'turn.db'}", *_OPTIONS, *options,
    ]  # fmt: skip
    configuration = directory / "turnserver.conf"
    configuration.write_text("\n".join(lines) + "\n")
    async with running([*prefix, "turnserver", "-c", configuration]) as server:
        await server.line("SQLite DB connection success")
        yield server
