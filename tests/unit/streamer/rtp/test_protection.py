import pytest

from appliance.streamer.rtp.protection import Protection

pytestmark = pytest.mark.unit


def looked(protection: Protection, loss: float | None, seconds: float) -> int:
    """Repair packets a group, at the end."""
    for _ in range(round(seconds * 10)):
        protection.look(loss)
    return protection.repairs


def test_without_loss_nothing_is_repaired() -> None:
    assert looked(Protection(), 0.0, 60) == 0


@pytest.mark.parametrize(("loss", "repairs"), [(0.003, 0), (0.01, 1), (0.03, 2), (0.05, 3), (0.3, 3)])
def test_the_more_is_lost_the_more_is_repaired(loss: float, repairs: int) -> None:
    assert looked(Protection(), loss, 10) == repairs


def test_it_begins_within_a_second() -> None:
    assert looked(Protection(), 0.05, 1) > 0


def test_a_packet_that_is_lost_now_and_then_is_no_reason() -> None:
    protection = Protection()
    for _ in range(20):
        assert looked(protection, 0.004, 1) == 0
        assert looked(protection, 0.0, 5) == 0


def test_it_goes_on_until_the_loss_is_gone_for_good() -> None:
    protection = Protection()
    looked(protection, 0.01, 10)
    assert looked(protection, 0.003, 20) == 1
    assert looked(protection, 0.0, 10) == 0


def test_what_may_come_from_a_full_queue_is_never_answered_with_more_packets() -> None:
    protection = Protection()
    assert looked(protection, None, 10) == 0
    looked(protection, 0.05, 10)
    assert looked(protection, None, 0.1) == 0
    assert looked(protection, 0.05, 0.1) == 3


def test_the_share_is_that_of_late_and_fades() -> None:
    protection = Protection()
    looked(protection, 0.05, 10)
    for _ in range(100):
        protection.spent(200, 800)
    assert protection.share == pytest.approx(0.2, abs=0.001)
    looked(protection, 0.0, 20)
    assert protection.share < 0.01
