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

    checks = asyncio.run(doctor.run(config_file.load(context.file), context.state_dir, context.socket))
    context.print([dataclasses.asdict(each) for each in checks], "\n".join(map(_line, checks)))
    return 1 if any(each.ok is False for each in checks) else 0


def _line(each: "Check") -> str:
    fix = f"\n    fix: {each.fix}" if each.fix and not each.ok else ""
    return f"{mark(each.ok)} {each.name}: {each.detail}{fix}"


def check_config(context: Context, _: argparse.Namespace) -> int:
    """Read the configuration as the daemon would; the faults are the data here."""
    file = context.file
    try:
        config_file.load(file)
    except ConfigError as exc:
        faults = str(exc).splitlines()
        context.print({"file": str(file or ""), "ok": False, "faults": faults}, str(exc))
        return 2
    context.print({"file": str(file or ""), "ok": True, "faults": []}, f"{file or 'built-in defaults'}: ok")
    return 0
