"""The configuration while a daemon runs: of a changed file, it takes what can be taken live."""

import logging
from collections.abc import Set
from pathlib import Path

from appliance import config_file
from appliance.config import Config
from appliance.control.snapshot import Problem
from appliance.errors import ConfigError

logger = logging.getLogger(__name__)


class LiveConfig:
    """What holds right now; the sections `live` may change, the others wait for a restart of `unit`."""

    def __init__(self, file: Path | None, config: Config, *, live: Set[str], unit: str) -> None:
        self._file = file
        self._live = live
        self._unit = unit
        self._fault = ""
        self._waiting: list[str] = []
        self.now = config

    def reload(self) -> bool:
        """Read the file again; a broken one changes nothing, and False is returned."""
        try:
            fresh = config_file.load(self._file)
        except ConfigError as exc:
            self._fault = str(exc)
            logger.error("configuration not reloaded, the last good one stays: %s", exc)  # noqa: TRY400
            return False
        self._fault = ""
        self._waiting = [
            name
            for name in Config.model_fields
            if name not in self._live and getattr(fresh, name) != getattr(self.now, name)
        ]
        self.now = fresh.model_copy(update={name: getattr(self.now, name) for name in self._waiting})
        if self._waiting:
            logger.warning("changed, but in force only after a restart: %s", ", ".join(self._waiting))
        return True

    def problems(self) -> list[Problem]:
        """What is wrong with the file, and what of it does not hold yet."""
        found = []
        if self._fault:
            what = f"configuration: {self._fault}"
            found.append(Problem(severity="error", what=what, fix="fanlight check-config"))
        if self._waiting:
            what = f"changed, but in force only after a restart: {', '.join(self._waiting)}"
            found.append(Problem(severity="warning", what=what, fix=f"systemctl restart {self._unit}"))
        return found
