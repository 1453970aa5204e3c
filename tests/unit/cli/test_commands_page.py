"""docs/commands.md says of verbs, options and exit codes what the parser does."""

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance import cli

pytestmark = pytest.mark.unit

PAGE = (Path(__file__).parents[3] / "docs" / "commands.md").read_text()


def verbs(parser: argparse.ArgumentParser, name: str = "") -> Iterator[str]:
    """A row of the table for each verb below `parser`."""
    if parser.get_default("verb_at"):
        words = " ".join([name, *map(word, own_actions(parser))])
        yield f"| `{words}` | {parser.description} |".replace("view|", r"view\|")
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for verb, child in action.choices.items():
                yield from verbs(child, f"{name} {verb}".strip())


def own_actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    everywhere = {"-h", "--version", *cli._EVERYWHERE}
    return [
        each
        for each in parser._actions
        if not everywhere & {*each.option_strings} and not isinstance(each, argparse._SubParsersAction)
    ]


def word(action: argparse.Action) -> str:
    value = "|".join(map(str, action.choices)) if action.choices else str(action.metavar)
    if not action.option_strings:
        return f"[{value}]" if action.nargs == "?" else value
    option = action.option_strings[0]
    return f"[{option}]" if action.nargs == 0 else f"[{option} {value}]"


def test_every_verb_is_there_as_it_is() -> None:
    rows = re.findall(r"^\| `[a-z].*\|$", PAGE.partition("## Verbs")[2].partition("\n## ")[0], re.MULTILINE)
    assert rows == list(verbs(cli.parser()))


def test_the_options_of_all_verbs_and_the_exit_codes_are_there() -> None:
    for option in cli._EVERYWHERE:
        assert f"| `{option}" in PAGE
    codes = {int(code): word for code, word in re.findall(r"^\| (\d) \| ([a-z]+)", PAGE, re.MULTILINE)}
    assert sorted(codes) == [cli.DONE, cli.FAILED, cli.USAGE, cli.UNREACHABLE, cli.NOT_FOUND, cli.REFUSED]
