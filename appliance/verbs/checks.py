"""`fanlight doctor | check-config`: what is wrong, and what mends it."""

import argparse
import asyncio
import dataclasses
from typing import TYPE_CHECKING

from appliance import config_file
from appliance.control.words import mark
from appliance.errors import ConfigError
from appliance.verbs.context import Context

if TYPE_CHECKING:
    from appliance.verbs.doctor import Check


def doctor(context: Context, _: argparse.Namespace) -> int:
    """Prove every leg; 1 where one failed."""
    from appliance.verbs import doctor

    config = config_file.load(context.daemons_file)
    checks = asyncio.run(doctor.run(config, context.state_dir, context.socket))
    context.print([dataclasses.asdict(each) for each in checks], "\n".join(map(_line, checks)))
    return 1 if any(each.ok is False for each in checks) else 0


def _line(each: "Check") -> str:
    fix = f"\n    fix: {each.fix}" if each.fix and not each.ok else ""
    return f"{mark(each.ok)} {each.name}: {each.detail}{fix}"


def check_config(context: Context, _: argparse.Namespace) -> int:
    """Read the configuration, and the files it names, as the daemon would; the faults are the data here."""
    from appliance.verbs import named_files

    file = context.daemons_file
    try:
        faults = named_files.faults(file, config_file.load(file))
    except ConfigError as exc:
        faults = str(exc).splitlines()
    text = "\n".join(faults) or f"{file or 'built-in defaults'}: ok"
    context.print({"file": str(file or ""), "ok": not faults, "faults": faults}, text)
    return 2 if faults else 0
