import pytest
from pydantic import ValidationError

from appliance.bus.messages import AgentAnnounce, Screen, ScreenWish

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("agent", ["", "a b", "a.b", ">", "a\r\nPUB x 0\r\n"])
def test_an_agent_that_no_request_could_reach_is_not_heard(agent: str) -> None:
    with pytest.raises(ValidationError, match="id"):
        AgentAnnounce(id=agent, name="box")


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ((1280, 720), (1280, 720)),
        ((801, 599), (802, 600)),
        ((1, 1), (2, 2)),
        ((720, 1280), (720, 1280)),
        ((1080, 1920), (1080, 1920)),
        ((2560, 1440), (1920, 1080)),
        ((1440, 2160), (1080, 1620)),
        ((2160, 2160), (1080, 1080)),
        ((3440, 1440), (1920, 804)),
        ((3840, 1), (1920, 2)),
    ],
)
@pytest.mark.parametrize("largest", [(1920, 1080), (1080, 1920)])
def test_a_screen_lies_or_stands_within_its_limits_in_its_own_shape(
    asked: tuple[int, int], given: tuple[int, int], largest: tuple[int, int]
) -> None:
    screen = Screen(width=asked[0], height=asked[1]).within(Screen(width=largest[0], height=largest[1]))
    assert (screen.width, screen.height) == given


def test_what_a_client_leaves_open_stays_as_it_is() -> None:
    screen = Screen(width=800, height=600, fps=30)
    assert ScreenWish(density=160).of(screen) == Screen(width=800, height=600, fps=30, density=160)
    assert ScreenWish(width=1280, height=720).of(screen) == Screen(width=1280, height=720, fps=30)


def test_any_rate_may_be_wished_for_and_is_what_it_may_be() -> None:
    assert ScreenWish(fps=1000).of(Screen()).within(Screen(fps=60)).fps == 60
