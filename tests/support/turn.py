"""A real coturn, bare or as Fanlight sets it up."""

import contextlib
import subprocess
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from tests.support.box import ROOT, Running, running

TEMPLATE = ROOT / "systemd" / "turn" / "turnserver.conf"
_BARE = (
    *("fingerprint", "realm=test", "no-cli", "no-tls", "no-dtls"),
    *("allow-loopback-peers", "simple-log", "log-file=stdout"),
)
_READY = "SQLite DB connection success"


@contextlib.asynccontextmanager
async def coturn(
    directory: Path, address: str, port: int, *options: str, prefix: Sequence[str] = ()
) -> AsyncIterator[Running]:
    """A TURN server on UDP and TCP; `options` are lines of its configuration."""
    async with _serving(directory, address, port, [*_BARE, *options], prefix) as server:
        yield server


@contextlib.asynccontextmanager
async def our_coturn(
    directory: Path, address: str, port: int, secret: str, *options: str, prefix: Sequence[str] = ()
) -> AsyncIterator[Running]:
    """One configured as `install.sh --with-turn` does; TLS is on the port after `port`."""
    filled = TEMPLATE.read_text().replace("@HOST@", "turn.test").replace("@SECRET@", secret)
    lines = [
        line
        for line in filled.replace("@EXTERNAL@", "").splitlines()
        if not line.startswith(("listening-port", "tls-listening-port"))
    ]
    lines += [f"tls-listening-port={port + 1}", *options]
    async with _serving(directory, address, port, lines, prefix) as server:
        yield server


def certificate(directory: Path, address: str) -> tuple[Path, Path]:
    """A self-made certificate for `address`, and its key."""
    cert, key = directory / "turn-cert.pem", directory / "turn-key.pem"
    subprocess.run(
        [
            *(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
            ),
            *("-days", "2", "-subj", "/CN=turn", "-addext", f"subjectAltName=IP:{address}"),
            *("-keyout", key, "-out", cert),
        ],
        check=True,
        capture_output=True,
        timeout=20,
    )
    return cert, key


@contextlib.asynccontextmanager
async def _serving(
    directory: Path, address: str, port: int, lines: Sequence[str], prefix: Sequence[str]
) -> AsyncIterator[Running]:
    ours = [
        f"listening-ip={address}", f"relay-ip={address}", f"listening-port={port}",
        f"pidfile={directory / 'turn.pid'}", f"userdb={directory / 'turn.db'}",
    ]  # fmt: skip
    configuration = directory / "turnserver.conf"
    configuration.write_text("\n".join([*ours, *lines]) + "\n")
    async with running([*prefix, "turnserver", "-c", configuration]) as server:
        await server.line(_READY)
        yield server
