"""Charts take one sample a second, on the clock of the box."""

from collections.abc import Callable

import pytest

from appliance.control.snapshot import Snapshot
from tui.history import History

pytestmark = pytest.mark.unit

Life = Callable[..., list[Snapshot]]


def test_a_burst_of_snapshots_is_one_sample(snapshots: Life) -> None:
    history = History()
    last = snapshots(3)[-1]
    for _ in range(10):
        history.add(last)
    assert len(history.of("i-desk7f3a").fps) == 1


def test_each_second_is_a_sample(snapshots: Life) -> None:
    history = History()
    for each in snapshots(10):
        history.add(each)
    assert len(history.of("i-desk7f3a").kbps) == 11
    assert list(history.of("i-gear01").fps) == [None] * 11


def test_an_instance_that_is_gone_is_forgotten(snapshots: Life) -> None:
    history = History()
    before, after = snapshots(1)
    history.add(before)
    history.add(after.model_copy(update={"instances": after.instances[:1]}))
    assert not history.of("i-gear01").fps


def test_a_daemon_that_started_again_starts_new_charts(snapshots: Life) -> None:
    history = History()
    for each in snapshots(5):
        history.add(each)
    last = snapshots(1)[-1]
    history.add(last.model_copy(update={"box": last.box.model_copy(update={"uptime_s": 1.0})}))
    assert len(history.of("i-desk7f3a").fps) == 1
