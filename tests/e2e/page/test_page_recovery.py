"""Things break; the page mends what it can and says what it cannot."""

import asyncio

import pytest
from playwright.async_api import Page, Route, expect

from tests.e2e.page.standin import SESSION, StandIn
from tests.support.box import comes_true

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

PLAYING = "() => fanlight.state === 'playing'"


async def test_a_dropped_socket_leaves_the_picture_alone(playing: Page, box: StandIn) -> None:
    decoded = await playing.evaluate("fanlight.stats().then((s) => s.framesDecoded)")
    await box.drop_socket()
    await box.until(lambda: box.signaling[-1] == {"type": "fanlight::adopt", "peer": "peer-1"})
    await playing.wait_for_function("() => fanlight.signaled")
    await comes_true(
        playing, "async (before) => (await fanlight.stats()).framesDecoded > before + 5", decoded
    )
    assert await playing.evaluate("[fanlight.state, fanlight.connections]") == ["playing", 1]
    assert len(box.peers) == 1


async def test_a_gateway_out_of_reach_is_shown_while_the_picture_plays_on(
    playing: Page, box: StandIn
) -> None:
    box.watch_status = 503
    await box.drop_socket()
    await expect(playing.locator("#link-lost")).to_be_visible()
    assert await playing.evaluate("fanlight.state") == "playing"
    box.watch_status = 200
    await expect(playing.locator("#link-lost")).to_be_hidden()
    assert await playing.evaluate("fanlight.connections") == 1


async def test_a_peer_that_the_box_lost_is_begun_anew(playing: Page, box: StandIn) -> None:
    box.adopts = False
    await box.drop_socket()
    await playing.wait_for_function("() => fanlight.state === 'playing' && fanlight.connections === 2")


async def test_a_restart_keeps_the_last_picture_until_the_next(playing: Page, box: StandIn) -> None:
    box.silent = True
    await box.tell("fanlight::restart", reason="the encoder failed")
    await expect(playing.locator("#last-frame")).to_be_visible()
    await expect(playing.locator("#cover")).to_contain_text("the encoder failed")
    painted = "() => document.querySelector('#last-frame').getContext('2d').getImageData(9, 9, 1, 1).data[3]"
    assert await playing.evaluate(painted) == 255
    assert await playing.evaluate("fanlight.state") == "reconnecting"
    sockets = len(box.sockets)
    box.silent = False
    await box.tell("fanlight::restart", reason="again")
    await playing.wait_for_function(PLAYING)
    await expect(playing.locator("#last-frame")).to_be_hidden()
    await expect(playing.locator("#cover")).to_be_hidden()
    assert len(box.sockets) == sockets, "on the same socket"
    assert await playing.evaluate("fanlight.role") == "control"
    await playing.wait_for_function("() => fanlight.peer")
    await playing.keyboard.press("k")
    await box.until(lambda: len(box.sent("fanlight::key")) == 2)


async def test_being_kicked_is_final_and_says_why(playing: Page, box: StandIn) -> None:
    await box.tell("fanlight::end", reason="You were disconnected by the owner.")
    await expect(playing.locator("#cover")).to_contain_text("You were disconnected by the owner.")
    watches = box.calls.count(("watch", SESSION))
    await playing.keyboard.press("a")
    await playing.evaluate("window.dispatchEvent(new Event('online'))")
    await expect(playing.get_by_role("button", name="Join again")).to_be_visible()
    assert box.calls.count(("watch", SESSION)) == watches
    assert box.sent("fanlight::key") == []
    await playing.get_by_role("button", name="Back").click()
    await expect(playing.locator(".room")).to_have_count(1)


async def test_a_kick_that_arrives_after_the_connection_died_still_counts(
    playing: Page, box: StandIn
) -> None:
    await box.peer.pc.close()
    await box.tell("fanlight::end", reason="kicked")
    await expect(playing.locator("#cover")).to_contain_text("kicked")
    assert await playing.evaluate("[fanlight.state, fanlight.connections]") == ["ended", 1]


async def test_a_connection_that_dies_without_a_word_is_made_again(playing: Page, box: StandIn) -> None:
    await box.peer.pc.close()
    await playing.wait_for_function("() => fanlight.state === 'playing' && fanlight.connections === 2")


async def test_a_stalled_picture_asks_for_a_keyframe_and_then_joins_again(
    playing: Page, box: StandIn
) -> None:
    await playing.wait_for_function("() => fanlight.box !== null")
    box.peer.pattern.moving.clear()
    await box.until(lambda: box.sent("fanlight::keyframe"))
    await playing.wait_for_function("() => fanlight.state === 'playing' && fanlight.connections === 2")
    assert box.sent("stream::disconnect"), "the lost peer was told"


async def test_the_watchdog(page: Page, box: StandIn) -> None:
    await page.goto(box.url)
    advice = await page.evaluate(
        """async () => {
          const { Watchdog } = await import('/watchdog.js');
          const run = (looks) => {
            const dog = new Watchdog();
            return looks.map(([now, decoded, encoded, hidden = false, explained = false]) =>
              dog.look({ now, decoded, encoded, hidden, explained }));
          };
          return {
            moving: run([[0, 1, 1], [3000, 2, 2], [6000, 3, 3]]),
            still: run([[0, 9, 50], [4000, 9, 50], [9000, 9, 51]]),
            stalled: run([[0, 9, 50], [2000, 9, 99], [3000, 9, 120], [4000, 9, 150], [5000, 9, 180]]),
            deaf: run([[0, 9, null], [2900, 9, null], [3000, 9, null], [5000, 9, null]]),
            dark: run([[0, 0, null], [2000, 0, null], [4000, 0, null]]),
            explained: run([[0, 9, 0], [9000, 9, 20, false, true], [19000, 9, 20, false, true]]),
            hidden: run([[0, 9, 0], [9000, 9, 99, true], [10000, 9, 99], [11000, 9, 199]]),
          };
        }"""
    )
    assert advice == {
        "moving": ["fine", "fine", "fine"],
        "still": ["fine", "fine", "fine"],
        "stalled": ["fine", "fine", "keyframe", "fine", "rejoin"],
        "deaf": ["fine", "fine", "keyframe", "rejoin"],
        "dark": ["fine", "keyframe", "rejoin"],
        "explained": ["fine", "fine", "fine"],
        "hidden": ["fine", "fine", "fine", "fine"],
    }


async def test_waiting_says_what_for(page: Page, box: StandIn) -> None:
    box.silent = True
    await page.goto(f"{box.url}/#session={SESSION}")
    await box.until(lambda: box.signaling)
    await box.tell("fanlight::wait", reason="The application starts.")
    await expect(page.locator("#cover")).to_contain_text("The application starts.")
    await expect(page.locator("#bar")).not_to_have_class("open")
    box.silent = False
    await box.tell("fanlight::restart", reason="it has started")
    await page.wait_for_function(PLAYING)
    await expect(page.locator("#bar")).to_have_class("open")


async def test_a_picture_that_cannot_come_yet_is_waited_for_with_the_reason(page: Page, box: StandIn) -> None:
    box.problem = "camera: Device or resource busy"
    await page.goto(f"{box.url}/#session={SESSION}")
    await box.until(lambda: box.peers)
    box.peer.pattern.moving.clear()
    await expect(page.locator("#cover")).to_contain_text("Device or resource busy")
    assert await page.evaluate("fanlight.state") == "waiting"
    box.peer.pattern.moving.set()
    await page.wait_for_function("() => fanlight.state === 'playing' && fanlight.connections === 1")


async def test_a_refused_attempt_says_why_and_is_repeated(page: Page, box: StandIn) -> None:
    box.silent = True
    await page.goto(f"{box.url}/#session={SESSION}")
    await box.until(lambda: box.signaling)
    await box.tell("error", message="50 viewers are enough")
    await expect(page.locator("#cover")).to_contain_text("50 viewers are enough")
    await box.until(lambda: [each["type"] for each in box.signaling].count("settings") == 2)
    box.silent = False
    await box.tell("fanlight::restart", reason="one has left")
    await page.wait_for_function(PLAYING)


@pytest.mark.parametrize(
    ("status", "words"),
    [(401, "Not paired any more"), (403, "Not allowed"), (404, "That session is gone")],
)
async def test_a_final_refusal_is_final(page: Page, box: StandIn, status: int, words: str) -> None:
    box.watch_status = status
    await page.goto(f"{box.url}/#session={SESSION}")
    await expect(page.locator("#cover")).to_contain_text(words)
    assert await page.evaluate("fanlight.state") == "ended"


async def test_an_unreachable_box_is_tried_again_at_a_press(page: Page, box: StandIn) -> None:
    box.watch_status = 503
    await page.goto(f"{box.url}/#session={SESSION}")
    await expect(page.locator("#cover")).to_contain_text("the bus is away")
    box.watch_status = 200
    await page.wait_for_function(PLAYING)


async def test_an_answer_of_something_in_between_is_named(page: Page, box: StandIn) -> None:
    await page.route("**/watch", lambda route: route.fulfill(status=520, body="<h1>?</h1>"))
    await page.goto(f"{box.url}/#session={SESSION}")
    await expect(page.locator("#cover")).to_contain_text("520")


async def test_a_browser_without_decoders_says_so(page: Page, box: StandIn) -> None:
    await page.add_init_script("RTCRtpReceiver.getCapabilities = () => ({codecs: [{mimeType: 'video/AV1'}]})")
    await page.goto(f"{box.url}/#session={SESSION}")
    await expect(page.locator("#cover")).to_contain_text("neither H.264 nor VP8")


async def test_a_browser_without_webrtc_says_so(page: Page, box: StandIn) -> None:
    await page.add_init_script("delete window.RTCPeerConnection")
    await page.goto(f"{box.url}/#session={SESSION}")
    await expect(page.locator("#cover")).to_contain_text("no WebRTC")


async def test_the_keyboard_gets_to_the_buttons_of_who_waits(page: Page, box: StandIn) -> None:
    box.silent = True
    await page.goto(f"{box.url}/#session={SESSION}")
    await box.until(lambda: box.signaling)
    await box.tell("fanlight::wait", reason="The application starts.")
    await expect(page.locator("#cover")).to_contain_text("The application starts.")
    await expect(page.locator("#screen")).to_be_focused()
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("button", name="Back")).to_be_focused()


async def test_a_box_that_stays_silent_is_told_of_once(page: Page, box: StandIn) -> None:
    attempts = asyncio.Queue[str]()

    async def fail(route: Route) -> None:
        attempts.put_nowait(route.request.url)
        await route.abort()

    await page.route("**/fanlight/me", fail)
    await page.goto(box.url)
    button = page.get_by_role("button", name="Try now")
    await button.focus()
    for _ in range(3):  # as the third begins, the page is done with the second
        await attempts.get()
    await expect(button).to_be_focused()


@pytest.mark.parametrize("element", ["#screen", "#sound"])
async def test_what_a_phone_paused_plays_on(playing: Page, element: str) -> None:
    await playing.wait_for_function("(element) => !document.querySelector(element).paused", arg=element)
    await playing.evaluate("(element) => document.querySelector(element).pause()", element)
    await playing.wait_for_function("(element) => !document.querySelector(element).paused", arg=element)
