"""The picture plays, and the page knows what it plays."""

import base64

import pytest
from playwright.async_api import Page, expect

from tests.e2e.page.standin import HEIGHT, SESSION, WIDTH, StandIn
from tests.support.box import comes_true

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]


async def test_frames_are_decoded_and_go_on(playing: Page) -> None:
    first = await playing.evaluate("fanlight.stats().then((s) => s.framesDecoded)")
    await comes_true(playing, "async (first) => (await fanlight.stats()).framesDecoded > first + 10", first)
    size = await playing.evaluate(
        "[screen_.videoWidth, screen_.videoHeight]".replace("screen_", "document.querySelector('#screen')")
    )
    assert size == [WIDTH, HEIGHT]
    await expect(playing.locator("#cover")).to_be_hidden()


async def test_the_settings_and_the_answer_are_what_the_dialect_wants(playing: Page, box: StandIn) -> None:
    assert [message["type"] for message in box.signaling][:2] == ["discover", "settings"]
    settings = box.signaling[1]
    assert settings["api_version"] == 2
    assert settings["enable_video"] is True
    assert settings["enable_speaker"] is True
    assert settings["enable_camera"] is False
    assert settings["video"]["preferred_decoder_codecs"][:2] == ["H264", "VP8"]
    answer = next(message for message in box.signaling if message["type"] == "answer")
    sdp = base64.b64decode(answer["sdp"]).decode()
    assert sdp.startswith("v=0")
    assert "stereo=1" in sdp
    channel = box.peer.channel
    assert channel is not None
    assert (channel.label, channel.ordered, channel.protocol) == ("control", True, "")


async def test_the_debug_object_tells_and_cannot_be_changed(playing: Page, box: StandIn) -> None:
    await playing.wait_for_function("() => fanlight.box !== null")
    told = await playing.evaluate(
        "({state: fanlight.state, role: fanlight.role, peer: fanlight.peer, session: fanlight.session,"
        " connections: fanlight.connections, encoder: fanlight.box.encoder})"
    )
    assert told == {
        "state": "playing", "role": "control", "peer": "peer-1", "session": SESSION, "connections": 1,
        "encoder": "nvenc",
    }  # fmt: skip
    assert (
        await playing.evaluate("(() => { try { fanlight.state = 'x' } catch {} return fanlight.state })()")
        == "playing"
    )


async def test_statistics_show_both_ends(playing: Page) -> None:
    await playing.hover("#handle")
    await playing.click('[data-do="stats"]')
    panel = playing.locator("#stats")
    for text in (" 360, ", "VP8", "nvenc", "proved by encoding", "p95 6.8 ms", "host", "screen to screen"):
        await expect(panel).to_contain_text(text)
    await expect(panel.locator(".legend li")).to_have_count(5)


async def test_both_ends_tell_where_the_time_of_a_frame_went(playing: Page) -> None:
    told = await playing.evaluate(
        """async () => {
          const { Timing } = await import('/timing.js');
          const seen = [];
          const timing = new Timing({ requestVideoFrameCallback: (look) => seen.push(look) });
          timing.watch(true);
          const now = performance.now();
          performance.now = () => now;
          timing.heedEcho(now - 400, 0);
          timing.heedEcho(now - 2, now + 5000);
          const frame = { rtpTimestamp: 900, receiveTime: now + 20, processingDuration: 0.002,
            presentationTime: now + 28, expectedDisplayTime: now + 10 };
          seen.at(-1)(0, frame);
          seen.at(-1)(0, { ...frame, rtpTimestamp: 1800 });
          timing.heedFrames([[900, now + 5000, 2, 5, 1], [4444, now, 2, 5, 1]]);
          delete performance.now;
          return { ...timing.takeSummary(), inside: timing.takeInside(), again: timing.takeSummary(),
            decode: timing.frames[0].decode };
        }"""
    )
    assert (told["capture"], told["encode"], told["send"], told["inside"], told["decode"]) == (2, 5, 1, 8, 2)
    assert told["again"] is None
    assert 10.5 < told["network"] < 14, "half an echo and 20 ms after the capture, less 8 ms in the box"
    assert told["p50"] == told["p95"] == pytest.approx(told["network"] + 16)


async def test_the_box_is_asked_for_frame_times_only_while_somebody_looks(
    playing: Page, box: StandIn
) -> None:
    await playing.hover("#handle")
    for on in (True, False):
        await playing.click('[data-do="stats"]')
        await box.until(lambda on=on: box.sent("fanlight::timing")[-1:] == [{"on": on}])
    assert (await box.until(lambda: box.sent("fanlight::latency")))[0]["ms"] > 0


async def test_the_picture_asks_for_no_buffer(page: Page, box: StandIn) -> None:
    await page.add_init_script(
        "const Real = RTCPeerConnection; window.__all = [];"
        "window.RTCPeerConnection = class extends Real {"
        " constructor(...a) { super(...a); __all.push(this) } }"
    )
    await page.goto(f"{box.url}/#session={SESSION}")
    await page.wait_for_function("() => fanlight.state === 'playing'")
    targets = await page.evaluate(
        "Object.fromEntries(__all[0].getReceivers().map((r) => [r.track.kind, r.jitterBufferTarget]))"
    )
    assert targets["video"] == 0
    assert targets["audio"] is None


async def test_the_toolbar_goes_away_and_comes_back(playing: Page) -> None:
    bar = playing.locator("#bar")
    await playing.mouse.move(640, 500)
    await expect(bar).not_to_have_class("open")
    await playing.hover("#handle")
    await expect(bar).to_have_class("open")
    await playing.mouse.move(640, 500)
    await playing.keyboard.press("Control+Alt+Shift")
    await expect(playing.locator('[data-do="leave"]')).to_be_focused()
    await playing.keyboard.press("ArrowRight")
    await expect(playing.locator('[data-do="size"]')).to_be_focused()
    await playing.keyboard.press("Escape")
    await expect(playing.locator("#screen")).to_be_focused()


@pytest.mark.parametrize("under", ["#handle", '[data-do="size"]'])
async def test_a_click_while_the_toolbar_slides_under_the_pointer_only_opens_it(
    playing: Page, under: str
) -> None:
    bar, size = playing.locator("#bar"), playing.locator('[data-do="size"]')
    await playing.mouse.move(640, 500)
    await expect(bar).not_to_have_class("open")
    before = await size.get_attribute("aria-pressed")
    await playing.evaluate(
        """(under) => {
          const entered = new PointerEvent('pointerenter', { pointerType: 'mouse' });
          document.querySelector('#bar').dispatchEvent(entered);
          document.querySelector(under).click();
        }""",
        under,
    )
    await expect(bar).to_have_class("open")
    assert await size.get_attribute("aria-pressed") == before
    pressed = """(before) => {
      const size = document.querySelector('[data-do="size"]');
      size.click();
      return size.ariaPressed !== before;
    }"""
    await comes_true(playing, pressed, before)


async def test_what_is_said_in_full_screen_is_above_it(playing: Page, box: StandIn) -> None:
    await playing.hover("#handle")
    await playing.click('[data-do="full"]')
    await playing.wait_for_function("() => document.fullscreenElement?.id === 'stage'")
    box.peer.say("fanlight::notice", {"text": "No sound server on the box."})
    notice = playing.get_by_role("status").filter(has_text="No sound server")
    await expect(notice).to_be_visible()
    assert await notice.evaluate("(element) => element.matches(':popover-open')")


async def test_leaving_tells_the_box_and_shows_the_list(playing: Page, box: StandIn) -> None:
    await playing.hover("#handle")
    await playing.click('[data-do="leave"]')
    await box.until(lambda: box.sent("stream::disconnect"))
    await expect(playing.locator(".room")).to_have_count(1)
    await expect(playing.locator("#stage")).to_be_hidden()
    assert await playing.locator("#surface").get_attribute("data-role") is None


async def test_reloading_tells_the_box(playing: Page, box: StandIn) -> None:
    await playing.reload()
    await box.until(lambda: box.sent("stream::disconnect"))
    await playing.wait_for_function("() => fanlight.state === 'playing'")


async def test_sound_that_the_browser_holds_back_asks_for_a_tap(page: Page, box: StandIn) -> None:
    await page.add_init_script(
        "HTMLAudioElement.prototype.play = function () { window.__plays = (window.__plays ?? 0) + 1;"
        " return window.__plays === 1 ? Promise.reject(new DOMException('no', 'NotAllowedError'))"
        " : Promise.resolve() }"
    )
    await page.goto(f"{box.url}/#session={SESSION}")
    hint = page.get_by_role("button", name="Tap for sound")
    await hint.click()
    await expect(hint).to_be_hidden()
    assert await page.evaluate("__plays") >= 2


async def test_sound_that_the_browser_holds_back_comes_with_a_key(page: Page, box: StandIn) -> None:
    await page.add_init_script(
        "HTMLAudioElement.prototype.play = () => window.allowed ? Promise.resolve()"
        " : Promise.reject(new DOMException('no', 'NotAllowedError'))"
    )
    await page.goto(f"{box.url}/#session={SESSION}")
    hint = page.get_by_role("button", name="Tap for sound")
    await expect(hint).to_be_visible()
    await page.evaluate("window.allowed = true")
    await page.keyboard.press("a")
    await expect(hint).to_be_hidden()


async def test_a_notice_of_the_box_is_read_out(playing: Page, box: StandIn) -> None:
    box.peer.say("fanlight::notice", {"text": "No sound server on the box."})
    await expect(playing.get_by_role("status").filter(has_text="No sound server")).to_be_visible()
