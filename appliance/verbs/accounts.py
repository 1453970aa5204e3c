"""`fanlight account create | list | delete`."""

import argparse
import asyncio

from appliance.control.credentials import AccountParams, Accounts, AccountToken, NameParams
from appliance.control.schema import Done
from appliance.verbs.context import Context, day, note, params, table


def create(context: Context, args: argparse.Namespace) -> int:
    """Make an account; plain output is the token alone."""
    wanted = params(AccountParams, name=args.name, expires_s=args.expires)
    made = asyncio.run(context.client.call("account.create", wanted, AccountToken))
    if not context.json:
        note(f"token of {made.name}; it is not shown again:")
    context.print(made, made.token)
    return 0


def list_all(context: Context, _: argparse.Namespace) -> int:
    """List the accounts."""
    found = asyncio.run(context.client.call("account.list", None, Accounts)).accounts
    rows = [
        (each.name, day(each.created_at), day(each.expires_at) if each.expires_at else "never")
        for each in found
    ]
    context.print(found, table(("NAME", "CREATED", "EXPIRES"), rows, "no accounts"))
    return 0


def delete(context: Context, args: argparse.Namespace) -> int:
    """Delete an account."""
    asyncio.run(context.client.call("account.delete", NameParams(name=args.name), Done))
    context.print({"deleted": args.name}, f"deleted {args.name}")
    return 0
