"""`fanlight key create | list | delete`."""

import argparse
import asyncio
import json
from pathlib import Path
from typing import Any

from appliance.control.credentials import KeyParams, Keys, KeySecret, NameParams
from appliance.control.schema import Done
from appliance.errors import InvalidInputError
from appliance.verbs.context import Context, day, note, params, table


def create(context: Context, args: argparse.Namespace) -> int:
    """Make a key; plain output is what SDKs read from the environment."""
    policy = _policy(args.policy) if args.policy else None
    wanted = params(KeyParams, name=args.name, policy=policy)
    made = asyncio.run(context.client.call("key.create", wanted, KeySecret))
    if not context.json:
        note(f"access key {made.name}; its secret is not shown again:")
    context.print(
        made, f"AWS_ACCESS_KEY_ID={made.access_key_id}\nAWS_SECRET_ACCESS_KEY={made.secret_access_key}"
    )
    return 0


def list_all(context: Context, _: argparse.Namespace) -> int:
    """List the keys."""
    found = asyncio.run(context.client.call("key.list", None, Keys)).keys
    rows = [(each.name, each.access_key_id, day(each.created_at), _words(each.policy)) for each in found]
    context.print(found, table(("NAME", "ACCESS KEY ID", "CREATED", "MAY"), rows, "no access keys"))
    return 0


def delete(context: Context, args: argparse.Namespace) -> int:
    """Delete a key."""
    asyncio.run(context.client.call("key.delete", NameParams(name=args.name), Done))
    context.print({"deleted": args.name}, f"deleted {args.name}")
    return 0


def _policy(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise InvalidInputError(f"{file}: {exc}") from exc
    if not isinstance(document, dict):
        raise InvalidInputError(f"{file}: a policy is a JSON object with a Statement")
    return document


def _words(policy: dict[str, Any]) -> str:
    """`kinesisvideo:Describe* on lobby-*; not ...`"""
    return "; ".join(
        f"{'not ' if each['Effect'] == 'Deny' else ''}{', '.join(each['Action'])}"
        f" on {', '.join(each['Resource'])}"
        for each in policy["Statement"]
    )
