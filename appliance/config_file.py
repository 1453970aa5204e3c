"""The settings of a file, secrets beside it and the environment over it; errors name file, line and key."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from appliance.config import Config, Section
from appliance.config_faults import fault
from appliance.errors import ConfigError

SYSTEM_FILE = Path("/etc/fanlight/fanlight.toml")
_SECRETS = {"gateway": ("token",), "instances": ("token",), "ice": ("turn_secret",), "bus": ("credentials",)}


def default_file(environ: Mapping[str, str] = os.environ) -> Path | None:
    """The file that is read when none is named; None where there is none."""
    home = environ.get("XDG_CONFIG_HOME") or str(Path(environ.get("HOME", "/")) / ".config")
    for file in (SYSTEM_FILE, Path(home) / "fanlight" / "fanlight.toml"):
        if file.is_file():
            return file
    return None


def load(file: Path | None, environ: Mapping[str, str] = os.environ) -> Config:
    """Read `file` (None: defaults), then secrets and environment over it.

    A secret is a file SECTION.KEY among systemd's credentials, or beside `file` where we may read it.

    Raises ConfigError with one line per fault: `file:line: key: reason`.
    """
    text = ""
    if file:
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as exc:
            raise ConfigError(f"{file}: {exc}") from exc
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise ConfigError(f"{file}: {exc}") from exc
    origins = _overlay(data, environ, file.parent if file else None)
    try:
        return Config.model_validate(data)
    except ValidationError as exc:
        faults = [
            fault(file, text, origins, error["loc"], error["type"], error["msg"])
            for error in exc.errors(include_url=False, include_input=False)
        ]
        raise ConfigError("\n".join(faults)) from exc


def _overlay(data: dict[str, Any], environ: Mapping[str, str], beside: Path | None) -> dict[str, str]:
    """Put credentials and FANLIGHT_<SECTION>_<KEY> over `data`; returns where each came from."""
    origins: dict[str, str] = {}
    credentials = environ.get("CREDENTIALS_DIRECTORY")
    folder = Path(credentials) if credentials else beside
    for name, keys in _SECRETS.items():
        for key in keys if folder else ():
            secret = Path(str(folder)) / f"{name}.{key}"
            if secret.is_file() and (credentials or os.access(secret, os.R_OK)):
                try:
                    data.setdefault(name, {})[key] = secret.read_text(encoding="utf-8").strip()
                except (OSError, UnicodeDecodeError) as exc:
                    raise ConfigError(f"{secret}: {exc}") from exc
                origins[f"{name}.{key}"] = str(secret)
    for name, field in Config.model_fields.items():
        section = field.annotation
        if not (isinstance(section, type) and issubclass(section, Section)):
            continue
        for key in section.model_fields:
            variable = f"FANLIGHT_{name}_{key}".upper()
            if variable in environ:
                raw = environ[variable]
                is_list = "list" in str(section.model_fields[key].annotation)
                data.setdefault(name, {})[key] = [v for v in raw.split(",") if v] if is_list else raw
                origins[f"{name}.{key}"] = f"${variable}"
    return origins
