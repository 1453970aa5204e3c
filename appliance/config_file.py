"""The settings of a file, secrets beside it and the environment over it; errors name file, line and key."""

import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import ValidationError

from appliance import config_faults
from appliance.config import Config, Section
from appliance.errors import ConfigError

SYSTEM_FILE = Path("/etc/fanlight/fanlight.toml")
_SECRETS = ("gateway.token", "instances.token", "ice.turn_secret", "bus.credentials")
_PATHS = ("bus.credentials",)
"""Settings that are the path of a file with the secret."""


def default_file(environ: Mapping[str, str] = os.environ) -> Path | None:
    """The file that is read when none is named; None where there is none."""
    home = environ.get("XDG_CONFIG_HOME") or str(Path(environ.get("HOME", "/")) / ".config")
    for file in (SYSTEM_FILE, Path(home) / "fanlight" / "fanlight.toml"):
        try:
            if file.is_file():
                return file
        except PermissionError:
            continue  # a folder that is closed to us is the service's
    return None


def kept_from_us() -> bool:
    """Whether this machine may have a file of the service, in a folder that is closed to us."""
    try:
        SYSTEM_FILE.stat()
    except PermissionError:
        return True
    except OSError:
        return False
    return False


def load(file: Path | None, environ: Mapping[str, str] = os.environ) -> Config:
    """Read `file` (None: defaults), then secrets and environment over it.

    A secret is a file SECTION.KEY among systemd's credentials, else beside `file` where we may read it.

    Raises ConfigError with one line per fault: `file:line: key: reason`.
    """
    text, data, origins = _read(file, environ)
    try:
        return Config.model_validate(data)
    except ValidationError as exc:
        faults = [
            config_faults.fault(file, text, origins, error["loc"], error["type"], error["msg"])
            for error in exc.errors(include_url=False, include_input=False)
        ]
        raise ConfigError("\n".join(faults)) from exc


def place(file: Path | None, location: tuple[str, ...], environ: Mapping[str, str] = os.environ) -> str:
    """Where a setting that `load` took comes from: `file:line`, or what is over the file."""
    text, _, origins = _read(file, environ)
    return config_faults.place(file, text, origins, location)


def _read(file: Path | None, environ: Mapping[str, str]) -> tuple[str, dict[str, Any], dict[str, str]]:
    """The text of `file`, all that is set, and where what is over the file came from."""
    text = ""
    if file:
        try:
            text = file.read_text(encoding="utf-8")
        except OSError as exc:
            raise ConfigError(f"{file}: {exc.strerror or exc}") from exc
        except UnicodeDecodeError as exc:
            raise ConfigError(f"{file}: {exc}") from exc
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise ConfigError(config_faults.syntax(file, text, str(exc))) from exc
    origins = _put_secrets(data, environ, file.parent if file else None)
    origins |= _put_variables(data, environ)
    return text, data, origins


def _put_secrets(data: dict[str, Any], environ: Mapping[str, str], beside: Path | None) -> dict[str, str]:
    """Put systemd's credentials, and secrets `beside` the file, over `data`; returns where each came from."""
    origins: dict[str, str] = {}
    credentials = environ.get("CREDENTIALS_DIRECTORY")
    folders = (Path(credentials) if credentials else None, beside)
    for key in _SECRETS:
        for secret in (folder / key for folder in folders if folder):
            try:
                if not secret.is_file() or (secret.parent == beside and not os.access(secret, os.R_OK)):
                    continue
                value = str(secret) if key in _PATHS else secret.read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as exc:
                raise ConfigError(f"{secret}: {exc}") from exc
            _put(data, tuple(key.split(".")), value)
            origins[key] = str(secret)
            break
    return origins


def _put_variables(data: dict[str, Any], environ: Mapping[str, str]) -> dict[str, str]:
    """Put FANLIGHT_<SECTION>_<KEY> over `data`; returns where each came from."""
    origins: dict[str, str] = {}
    for location, annotation in _settings(Config):
        variable = "_".join(("FANLIGHT", *location)).upper()
        if variable in environ:
            _put(data, location, _parsed(environ[variable], annotation))
            origins[".".join(location)] = f"${variable}"
    return origins


def _settings(model: type[Section], section: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Where each setting of a section is, and its type; [[application]] is none."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield from _settings(field.annotation, (*section, name))
        elif section:
            yield (*section, name), field.annotation


def _parsed(raw: str, annotation: Any) -> Any:
    if get_origin(annotation) is list:
        return [each for each in raw.split(",") if each]
    if get_origin(annotation) is Literal:
        return next((each for each in get_args(annotation) if str(each) == raw), raw)
    return raw


def _put(data: dict[str, Any], location: tuple[str, ...], value: Any) -> None:
    """Set what is at `location`; what stands there instead of a section stays, as a fault of its own."""
    *sections, key = location
    for name in sections:
        data = data.setdefault(name, {})
        if not isinstance(data, dict):
            return
    data[key] = value
