from pathlib import Path

import pytest

from bench.join import near_and_far
from bench.links import jain, recovery_s
from bench.stages import Stamp, stages
from bench.viewing import Frame, drawn, figures, freezes, latencies, rate
from bench.watchers import lateness

pytestmark = pytest.mark.unit


def frame(code: int, presented: float, received: float = 0) -> Frame:
    return Frame(code, presented, received, 0, 1.0)


def test_latency_is_that_of_the_first_presentation() -> None:
    found = latencies([frame(1, 110), frame(1, 140), frame(2, 145), frame(9, 150)], {1: 100, 2: 130})
    assert [latency for _, latency in found] == [10, 15]


def test_figures_leave_out_what_the_browser_does_not_say() -> None:
    found = figures([frame(1, 110), frame(2, 150, received=145)], {1: 100, 2: 130})
    assert found["p50_ms"] == 20
    assert found["received_p50_ms"] == 15


def test_the_newest_drawing_of_a_code_counts(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("7 100.5\n8 133.0\n7 900.0\n")
    assert drawn(tmp_path / "log") == {7: 900.0, 8: 133.0}


def test_freezes_are_gaps_that_are_longer() -> None:
    assert freezes([0, 400, 1000, 1500]) == [(400, 600)]


def test_the_rate_is_over_the_time_from_first_to_last() -> None:
    assert rate([frame(n, n * 20) for n in range(51)]) == 50
    assert rate([frame(1, 0)]) == 0


def steady(since: int, until: int, latency: float) -> list[tuple[float, float]]:
    return [(float(at), latency) for at in range(since, until, 50)]


def test_who_is_never_disturbed_recovers_at_once() -> None:
    assert recovery_s(steady(0, 8000, 50), 4000, 8000) == 0


def test_recovery_ends_when_latency_is_as_before() -> None:
    seen = steady(0, 4000, 50) + steady(4000, 5000, 300) + steady(5000, 8000, 60)
    assert recovery_s(seen, 4000, 8000) == pytest.approx(1.0, abs=0.1)


def test_one_quick_frame_is_no_recovery() -> None:
    seen = steady(0, 4000, 50) + steady(4000, 5000, 300) + [(5000.0, 60.0)] + steady(5050, 6000, 300)
    seen += steady(6000, 8000, 60)
    assert recovery_s(seen, 4000, 8000) == pytest.approx(2.0, abs=0.1)


def test_a_gap_is_no_recovery() -> None:
    seen = steady(0, 4000, 50) + steady(6000, 8000, 50)
    assert recovery_s(seen, 4000, 8000) == pytest.approx(2.0, abs=0.1)


def test_who_shows_nothing_any_more_does_not_recover() -> None:
    assert recovery_s(steady(0, 4000, 50), 4000, 8000) == 4.0


def test_jain_is_one_for_equal_shares() -> None:
    assert jain([5, 5]) == pytest.approx(1)
    assert jain([10, 0]) == pytest.approx(0.5)
    assert jain([0, 0]) == 0


def test_lateness_is_over_the_viewers_own_quickest_frame(tmp_path: Path) -> None:
    lines = [
        "[0, 4294967295, 1000]",
        "[0, 2999, 1033.4]",
        "[1, 50, 5000]",
        "[0, 5999, 1076.7]",
        "[1, 3050, 5040]",
    ]
    (tmp_path / "log").write_text("\n".join(lines))
    found = lateness(tmp_path / "log", 1000)
    assert [round(late) for _, late in found[0]] == [0, 0, 10]
    assert [round(late) for _, late in found[1]] == [0, 7]


def test_the_steps_of_a_frame_add_up_to_its_latency() -> None:
    seen = Frame(code=1, presented=130, received=120, rtp=90_000, decode_ms=2)
    found = stages([seen, frame(2, 140)], {1: 100, 2: 120}, {90_000: Stamp(105, 1, 6, 3)})
    assert found == {
        "stamped": 1, "wait_ms": 5, "capture_ms": 1, "encode_ms": 6, "send_ms": 3, "network_ms": 5,
        "show_ms": 8,
    }  # fmt: skip
    assert sum(found.values()) - found["stamped"] + seen.decode_ms == 30


def test_near_a_join_is_soon_after_it() -> None:
    found = [(100.0, 9.0), (1999.0, 1.0), (2000.0, 5.0), (2300.0, 4.0), (2301.0, 2.0), (5100.0, 7.0)]
    assert near_and_far(found, [2000.0, 5000.0]) == (7.0, 2.0)
