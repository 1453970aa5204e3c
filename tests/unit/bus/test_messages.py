import pytest
from pydantic import ValidationError

from appliance.bus.messages import AgentAnnounce

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("agent", ["", "a b", "a.b", ">", "a\r\nPUB x 0\r\n"])
def test_an_agent_that_no_request_could_reach_is_not_heard(agent: str) -> None:
    with pytest.raises(ValidationError, match="id"):
        AgentAnnounce(id=agent, name="box")
