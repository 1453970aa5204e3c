"""What all benchmarks share: their arguments, medians over runs, tables with ratios, JSON."""

import argparse
import json
import math
import os
import statistics
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Row = dict[str, float]


def arguments(doc: str, *, seconds: float | None = 15) -> argparse.ArgumentParser:
    """`--runs`, `--json`, and `--seconds` where time is what is measured."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    if seconds is not None:
        parser.add_argument("--seconds", type=float, default=seconds, help="measured, of each run")
    parser.add_argument("--json", action="store_true", help="on standard output, tables on standard error")
    return parser


def quantile(values: Iterable[float], share: float) -> float:
    """Of values in any order; NaN where there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else math.nan


def medians(runs: Sequence[Mapping[str, float]]) -> Row:
    """Of each figure over the runs that have it."""
    keys = dict.fromkeys(key for run in runs for key in run)
    found = {key: [run[key] for run in runs if not math.isnan(run.get(key, math.nan))] for key in keys}
    return {key: statistics.median(values) if values else math.nan for key, values in found.items()}


@dataclass(frozen=True, slots=True)
class Column:
    """A figure: its key in the rows, its heading, its digits after the point."""

    key: str
    head: str
    digits: int = 1


class Report:
    """Every run as it comes, then a table of their medians. Ratios are to the row named `base`."""

    def __init__(self, title: str, columns: Sequence[Column], *, ratio: str = "", base: str = "") -> None:
        self.title = title
        self._columns = columns
        self._ratio, self._base = ratio, base
        self._load = os.getloadavg()[0]
        self.runs: dict[str, list[Row]] = {}

    def add(self, name: str, row: Row) -> None:
        """One run of one row; it is told on standard error."""
        self.runs.setdefault(name, []).append(row)
        said = " ".join(f"{key}={value:.5g}" for key, value in row.items())
        print(f"{name}: {said}", file=sys.stderr, flush=True)

    @property
    def rows(self) -> dict[str, Row]:
        """The medians."""
        return {name: medians(runs) for name, runs in self.runs.items()}

    def text(self) -> str:
        """The table."""
        rows = self.rows
        most = max((len(runs) for runs in self.runs.values()), default=0)
        heads = ["", *(column.head for column in self._columns)]
        if self._ratio:
            heads.append(f"{self._ratio} / {self._base}")
        table = [heads, *(self._line(name, row, rows) for name, row in rows.items())]
        widths = [max(len(line[index]) for line in table) for index in range(len(heads))]
        lines = [
            line[0].ljust(widths[0])
            + "".join(f"  {c:>{w}}" for c, w in zip(line[1:], widths[1:], strict=True))
            for line in table
        ]
        return "\n".join([f"{self.title}; medians of {most} runs; {machine(self._load)}", *lines])

    def finish(self, options: argparse.Namespace) -> None:
        """Print it, and with --json the figures."""
        finish([self], options)

    def _line(self, name: str, row: Row, rows: dict[str, Row]) -> list[str]:
        cells = [_number(row.get(column.key, math.nan), column.digits) for column in self._columns]
        if self._ratio:
            base = rows.get(self._base, {}).get(self._ratio, math.nan)
            cells.append(_number(row.get(self._ratio, math.nan) / base, 2) + "x" if base else "-")
        return [name, *cells]


def finish(reports: Sequence[Report], options: argparse.Namespace) -> None:
    """Print several tables, and with --json one object for all."""
    print(
        "\n" + "\n\n".join(report.text() for report in reports),
        file=sys.stderr if options.json else sys.stdout,
    )
    if options.json:
        found = [{"title": each.title, "medians": each.rows, "runs": each.runs} for each in reports]
        print(json.dumps(_without_nan({"machine": machine(os.getloadavg()[0]), "tables": found})))


def machine(load: float) -> str:
    """How many cores, and how busy they were with everything."""
    return f"{os.cpu_count()} cores, load {load:.1f} at the beginning, {os.getloadavg()[0]:.1f} at the end"


def _number(value: float, digits: int) -> str:
    return "-" if math.isnan(value) else f"{value:.{digits}f}"


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_without_nan(each) for each in value]
    return None if isinstance(value, float) and math.isnan(value) else value
