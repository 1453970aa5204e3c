import argparse
import json
import math

import pytest

from bench.report import Column, Report, medians, quantile

pytestmark = pytest.mark.unit


def test_a_median_is_over_the_runs_that_have_the_figure() -> None:
    runs = [{"a": 1.0, "b": math.nan}, {"a": 3.0, "b": 7.0}, {"a": 100.0}]
    assert medians(runs) == {"a": 3.0, "b": 7.0}


def test_a_figure_that_no_run_has_is_not_a_number() -> None:
    assert math.isnan(medians([{"a": math.nan}])["a"])


def test_quantiles_need_no_order() -> None:
    values = [5.0, 1.0, 4.0, 2.0, 3.0]
    assert quantile(values, 0.5) == 3.0
    assert quantile(values, 0.95) == 5.0
    assert math.isnan(quantile([], 0.5))


@pytest.fixture
def report(capsys: pytest.CaptureFixture[str]) -> Report:
    made = Report(
        "latency", [Column("p50_ms", "p50 ms"), Column("other", "other")], ratio="p50_ms", base="ours"
    )
    made.add("ours", {"p50_ms": 10.0, "other": 1.0})
    made.add("ours", {"p50_ms": 20.0, "other": 1.0})
    made.add("ours", {"p50_ms": 12.0, "other": 1.0})
    made.add("theirs", {"p50_ms": 30.0})
    return made


def test_a_table_has_medians_and_ratios(report: Report) -> None:
    title, heads, ours, theirs = report.text().splitlines()
    assert title.startswith("latency; medians of 3 runs; ")
    assert heads.split("  ")[-1].strip() == "p50_ms / ours"
    assert ours.split() == ["ours", "12.0", "1.0", "1.00x"]
    assert theirs.split() == ["theirs", "30.0", "-", "2.50x"]


def test_json_goes_to_stdout_alone(report: Report, capsys: pytest.CaptureFixture[str]) -> None:
    report.add("nothing", {"p50_ms": math.nan})
    report.finish(argparse.Namespace(json=True))
    out, err = capsys.readouterr()
    (table,) = json.loads(out)["tables"]
    assert table["medians"]["theirs"] == {"p50_ms": 30.0}
    assert table["medians"]["nothing"] == {"p50_ms": None}
    assert len(table["runs"]["ours"]) == 3
    assert "latency; medians" in err
