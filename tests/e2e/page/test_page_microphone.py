"""The microphone: off until asked for, heard while it is on, and what is said where it cannot be."""

import base64
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext, Locator, Page, expect

from tests.e2e.page.standin import SESSION, StandIn
from tests.support.box import comes_true

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

SPY = """
(() => {
  const Peer = window.RTCPeerConnection, { mediaDevices } = navigator;
  const open = mediaDevices.getUserMedia.bind(mediaDevices);
  Object.assign(window, { __peers: [], __tracks: [], __asked: [], __refusal: null });
  window.RTCPeerConnection = class extends Peer {
    constructor(...options) {
      super(...options);
      __peers.push(this);
    }
  };
  mediaDevices.getUserMedia = async (wanted) => {
    __asked.push(wanted);
    if (__refusal) throw new DOMException('of the test', __refusal);
    const stream = await open(wanted);
    __tracks.push(...stream.getTracks());
    return stream;
  };
})();
"""
SENT = """
async () => {
  const found = [...(await __peers.at(-1).getStats()).values()];
  return found.find(({ type, kind }) => type === 'outbound-rtp' && kind === 'audio')?.packetsSent ?? 0;
}
"""
RECORDING = "__tracks.some((track) => track.readyState === 'live')"


@pytest_asyncio.fixture(loop_scope="session", autouse=True)
async def spy(page: Page) -> None:
    await page.add_init_script(SPY)


@pytest_asyncio.fixture(loop_scope="session")
async def allowed(context: BrowserContext) -> None:
    await context.grant_permissions(["microphone"])


async def button(page: Page) -> Locator:
    """That of the microphone, in the open toolbar."""
    await page.hover("#handle")
    return page.locator("[data-do=microphone]")


async def switched_on(page: Page) -> Locator:
    """The button, once the microphone is on and heard."""
    found = await button(page)
    await found.click()
    await expect(found).to_have_attribute("aria-pressed", "true")
    await more_is_sent(page)
    return found


async def more_is_sent(page: Page) -> None:
    await comes_true(page, f"async (before) => (await ({SENT})()) > before + 20", await page.evaluate(SENT))


async def is_off(page: Page) -> None:
    await expect(page.locator("[data-do=microphone]")).to_have_attribute("aria-pressed", "false")
    assert not await page.evaluate(RECORDING)
    await page.wait_for_function(
        "() => __peers.at(-1).getSenders().every(({ track }) => track?.kind !== 'audio')"
    )


async def is_told(page: Page, text: str) -> None:
    await expect(page.get_by_role("status").filter(has_text=text)).to_be_visible()


def answer_of(box: StandIn, number: int = -1) -> str:
    """The part on sound of an answer."""
    answers = [message for message in box.signaling if message["type"] == "answer"]
    sdp = base64.b64decode(answers[number]["sdp"]).decode()
    return next(part for part in sdp.split("\r\nm=") if part.startswith("audio"))


async def test_nobody_is_asked_at_joining_and_nothing_is_sent(playing: Page, box: StandIn) -> None:
    found = await button(playing)
    await expect(found).to_be_visible()
    await expect(found).to_have_attribute("title", "Microphone is off")
    assert box.signaling[1]["enable_microphone"] is True
    assert "a=sendrecv" in answer_of(box)
    await playing.wait_for_function("() => fanlight.box !== null")
    assert await playing.evaluate("__asked.length") == 0
    assert await playing.evaluate(SENT) == 0


@pytest.mark.usefixtures("allowed")
async def test_it_is_heard_while_it_is_on_and_the_browser_lets_go_of_it_afterwards(playing: Page) -> None:
    found = await switched_on(playing)
    await expect(found).to_have_attribute("title", "Microphone is on")
    await expect(playing.locator("#handle")).to_have_attribute(
        "title", "Toolbar (Ctrl+Alt+Shift), the microphone is on"
    )
    wanted = (await playing.evaluate("__asked"))[0]["audio"]
    assert wanted["echoCancellation"] is wanted["noiseSuppression"] is wanted["autoGainControl"] is True
    assert await playing.evaluate(RECORDING)
    await found.click()
    await is_off(playing)
    await expect(found).to_have_attribute("title", "Microphone is off")
    assert await playing.evaluate("fanlight.connections") == 1
    await switched_on(playing)


async def test_a_refusal_is_told_and_nothing_else_happens(playing: Page) -> None:
    found = await button(playing)
    await found.click()
    await is_told(playing, "The browser does not let this page use the microphone.")
    await is_off(playing)
    assert await playing.evaluate("[fanlight.state, fanlight.connections]") == ["playing", 1]


@pytest.mark.parametrize(
    ("refusal", "text"),
    [
        ("NotFoundError", "This device has no microphone."),
        ("NotReadableError", "another program has it"),
        ("AbortError", "The microphone cannot be used: of the test."),
    ],
)
async def test_what_is_wrong_with_the_device_is_told(playing: Page, refusal: str, text: str) -> None:
    await playing.evaluate("(name) => { __refusal = name }", refusal)
    await (await button(playing)).click()
    await is_told(playing, text)
    await is_off(playing)


async def test_a_page_without_https_says_what_it_lacks(page: Page, box: StandIn) -> None:
    await page.add_init_script("Object.defineProperty(navigator, 'mediaDevices', { value: undefined })")
    await page.goto(f"{box.url}/#session={SESSION}")
    await page.wait_for_function("() => fanlight.state === 'playing'")
    await (await button(page)).click()
    await is_told(page, "https://")


async def test_a_second_click_takes_the_question_back(playing: Page) -> None:
    await playing.evaluate(
        "() => { navigator.mediaDevices.getUserMedia ="
        " () => new Promise((done) => { window.__grant = done }) }"
    )
    found = await button(playing)
    await found.click()
    await expect(found).to_have_attribute("title", "Microphone: waiting for the browser")
    await found.click()
    await expect(found).to_have_attribute("title", "Microphone is off")
    await playing.evaluate(
        "() => { const { stream } = new AudioContext().createMediaStreamDestination();"
        " __tracks.push(...stream.getTracks()); __grant(stream) }"
    )
    await is_off(playing)


@pytest.mark.usefixtures("allowed")
async def test_a_box_that_takes_none_is_not_asked_for_permission(playing: Page, box: StandIn) -> None:
    found = await switched_on(playing)
    box.microphone_problem = "no sound server at unix:/run/pulse"
    await is_told(playing, "The box cannot take your microphone: no sound server at unix:/run/pulse.")
    await is_off(playing)
    await found.click()
    assert await playing.evaluate("__asked.length") == 1
    box.microphone_problem = ""
    await playing.wait_for_function("() => fanlight.box.microphone_problem === ''")
    await switched_on(playing)


@pytest.mark.usefixtures("allowed")
async def test_it_stays_on_over_a_reconnection(playing: Page, box: StandIn) -> None:
    found = await switched_on(playing)
    await box.tell("fanlight::restart", reason="the encoder failed")
    await playing.wait_for_function("() => fanlight.state === 'playing' && fanlight.connections === 2")
    await expect(found).to_have_attribute("aria-pressed", "true")
    await more_is_sent(playing)
    assert await playing.evaluate("__asked.length") == 1


@pytest.mark.usefixtures("allowed")
async def test_who_loses_the_controls_is_heard_no_more(playing: Page, box: StandIn) -> None:
    await switched_on(playing)
    box.peer.say("fanlight::role", role("view"))
    await is_told(playing, "Your microphone is off: you only watch now.")
    await is_off(playing)
    await expect(playing.locator("[data-do=microphone]")).to_be_hidden()


@pytest.mark.usefixtures("allowed")
async def test_who_leaves_is_heard_no_more(playing: Page, box: StandIn) -> None:
    await switched_on(playing)
    await box.tell("fanlight::end", reason="somebody else took over")
    await playing.wait_for_function("() => fanlight.state === 'ended'")
    await is_off(playing)


@pytest.mark.usefixtures("allowed")
async def test_a_device_that_is_taken_away_is_told(playing: Page) -> None:
    await switched_on(playing)
    await playing.evaluate("__tracks[0].dispatchEvent(new Event('ended'))")
    await is_told(playing, "it was taken away")
    await is_off(playing)


@pytest.mark.usefixtures("allowed")
async def test_who_watches_has_none_until_it_is_given_the_controls(page: Page, box: StandIn) -> None:
    box.role = "view"
    await page.goto(f"{box.url}/#session={SESSION}")
    await page.wait_for_function("() => fanlight.state === 'playing'")
    await box.until(lambda: box.peer.channel)
    await expect(await button(page)).to_be_hidden()
    assert box.signaling[1]["enable_microphone"] is False
    assert "a=recvonly" in answer_of(box)
    box.role = "control"
    box.peer.say("fanlight::role", role("control"))
    await switched_on(page)
    assert await page.evaluate("fanlight.connections") == 2
    assert "a=sendrecv" in answer_of(box)


def role(name: str) -> dict[str, Any]:
    return {"peer": "peer-1", "role": name, "width": 640, "height": 360}
