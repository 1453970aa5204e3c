"""`fanlight audit`: who came and went, and what was asked of this box."""

import argparse
import asyncio
from datetime import datetime

from appliance.control.schema import Audit, AuditParams
from appliance.verbs.context import Context, params, table


def audit(context: Context, args: argparse.Namespace) -> int:
    """Print the newest records, the oldest of them first."""
    wanted = params(AuditParams, last=args.last)
    found = asyncio.run(context.client.call("audit", wanted, Audit)).records
    rows = [
        (
            datetime.fromisoformat(each.time).astimezone().strftime("%Y-%m-%d %H:%M:%S"),
            each.event,
            each.by,
            each.application,
            each.session,
            " ".join(filter(None, (each.role, each.address, each.detail))),
        )
        for each in found
    ]
    heads = ("TIME", "EVENT", "BY", "APPLICATION", "SESSION", "MORE")
    context.print(found, table(heads, rows, "nothing was recorded yet"))
    return 0
