"""The files that the configuration names: whether we can read them, and they hold what they should."""

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

from appliance import config_file
from appliance.bus.connection import authorities
from appliance.bus.nkey import read_credentials
from appliance.config import Config
from appliance.errors import ConfigError
from appliance.gateway.tls import load_pair

_Read = Callable[[], object]


def faults(file: Path | None, config: Config) -> list[str]:
    """One line per file of `config`, which is that of `file`, that is not right."""
    found = []
    for location, read in _named(config):
        try:
            read()
        except ConfigError as exc:
            found.append(f"{config_file.place(file, location)}: {exc}")
    return found


def _named(config: Config) -> Iterator[tuple[tuple[str, ...], _Read]]:
    """Where each file that is used is named, and how the daemon reads it."""
    tls, bus = config.tls, config.bus
    if tls.mode == "files":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        yield ("tls", "cert"), lambda: load_pair(context, Path(tls.cert), Path(tls.key))
    if bus.mode == "external" and bus.ca:
        yield ("bus", "ca"), lambda: authorities(bus.ca)
    if bus.mode == "external" and bus.credentials:
        yield ("bus", "credentials"), lambda: read_credentials(bus.credentials)
