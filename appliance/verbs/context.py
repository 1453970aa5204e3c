"""What every verb is given, and how verbs print."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from appliance import config_file, paths
from appliance.control.client import ControlClient
from appliance.control.schema import Model
from appliance.control.words import printable
from appliance.errors import InvalidInputError, RefusedError

P = TypeVar("P", bound=Model)


@dataclass(frozen=True, slots=True)
class Context:
    """The global options. Data goes to stdout through here, everything else to stderr."""

    config_file: Path | None
    state_dir: Path
    runtime_dir: Path
    json: bool = False

    @property
    def socket(self) -> Path:
        """The daemon's control socket."""
        return paths.client_socket(self.runtime_dir)

    @property
    def client(self) -> ControlClient:
        """A client of the daemon."""
        return ControlClient(self.socket)

    @property
    def file(self) -> Path | None:
        """The configuration file that counts; None for built-in defaults."""
        return self.config_file or config_file.default_file()

    @property
    def daemons_file(self) -> Path | None:
        """`file`, for verbs that judge what the daemon reads.

        Raises RefusedError where that daemon is the service, and its file is closed to us.
        """
        own = paths.control_socket(self.runtime_dir)
        if self.file is None and config_file.kept_from_us() and not own.exists():
            raise RefusedError(f"{config_file.SYSTEM_FILE}: be root or a member of the group fanlight")
        return self.file

    def print(self, data: BaseModel | Sequence[BaseModel] | dict[str, Any] | list[Any], text: str) -> None:
        """Print `data` where --json was given, else `text`."""
        print(json.dumps(_plain(data), indent=2, ensure_ascii=False) if self.json else text)


def params(model: type[P], **values: object) -> P:
    """Build the parameters of a call. Raises InvalidInputError that names the wrong one."""
    try:
        return model(**values)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidInputError(f"{where}: {first['msg']}") from exc


def note(text: str) -> None:
    """Say something that is not data."""
    print(text, file=sys.stderr)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], none: str) -> str:
    """Columns as wide as what is in them; `none` where there are no rows."""
    if not rows:
        return none
    rows = [tuple(map(printable, row)) for row in rows]
    widths = [max(len(row[column]) for row in (heads, *rows)) for column in range(len(heads))]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (heads, *rows)
    )
    return "\n".join(lines)


def day(unix: int) -> str:
    """Local date and time."""
    return datetime.fromtimestamp(unix, UTC).astimezone().strftime("%Y-%m-%d %H:%M")


def _plain(data: Any) -> Any:
    if isinstance(data, BaseModel):
        return data.model_dump(mode="json")
    if isinstance(data, list | tuple):
        return [_plain(each) for each in data]
    return data
