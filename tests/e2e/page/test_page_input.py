"""Keys and the clipboard, arriving at the box as docs/protocol.md has it, and who may use them."""

import pytest
from playwright.async_api import BrowserContext, Page, expect

from tests.e2e.page.standin import HEIGHT, SESSION, WIDTH, StandIn
from tests.support.box import comes_true

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

STRIKE = """
  (event) => document.activeElement.dispatchEvent(
    new KeyboardEvent(event.type, { bubbles: true, cancelable: true, ...event }))
"""
STRIKE_PASTE = f"({STRIKE})({{ type: 'keydown', code: 'KeyV', key: 'v', ctrlKey: true }});"
"""The page waits a tenth of a second for what belongs to it: that is in the same call."""


def pressed(box: StandIn) -> list[tuple[str, bool]]:
    return [(key["code"], key["pressed"]) for key in box.sent("fanlight::key")]


async def test_keys_go_by_code_down_and_up(playing: Page, box: StandIn) -> None:
    await playing.keyboard.down("Shift")
    await playing.keyboard.press("a")
    await playing.keyboard.up("Shift")
    await playing.keyboard.press("F5")
    await playing.keyboard.press("Tab")
    await playing.keyboard.press("Escape")
    await box.until(lambda: len(box.sent("fanlight::key")) == 10)
    keys = [(key["code"], key["pressed"]) for key in box.sent("fanlight::key")]
    assert keys == [
        ("ShiftLeft", True), ("KeyA", True), ("KeyA", False), ("ShiftLeft", False),
        ("F5", True), ("F5", False), ("Tab", True), ("Tab", False), ("Escape", True), ("Escape", False),
    ]  # fmt: skip
    assert await playing.evaluate("fanlight.connections") == 1, "F5 went to the box, not to the browser"


async def test_a_held_key_is_sent_once(playing: Page, box: StandIn) -> None:
    for _ in range(4):
        await playing.keyboard.down("x")
    await playing.keyboard.up("x")
    await box.until(lambda: len(box.sent("fanlight::key")) == 2)


async def test_losing_focus_lets_go_of_everything(playing: Page, box: StandIn) -> None:
    await playing.keyboard.down("Control")
    await playing.evaluate("window.dispatchEvent(new Event('blur'))")
    await box.until(lambda: box.sent("fanlight::release"))
    await playing.keyboard.up("Control")
    await playing.keyboard.press("b")
    await box.until(lambda: len(box.sent("fanlight::key")) == 3)
    assert [key["code"] for key in box.sent("fanlight::key")] == ["ControlLeft", "KeyB", "KeyB"]


async def test_who_only_watches_sends_nothing(page: Page, box: StandIn) -> None:
    box.role = "view"
    await page.goto(f"{box.url}/#session={SESSION}")
    await page.wait_for_function("() => fanlight.state === 'playing' && fanlight.role === 'view'")
    await page.wait_for_function("() => fanlight.peer")
    await expect(page.locator("#watching")).to_be_visible()
    await page.mouse.click(640, 400)
    await page.mouse.wheel(0, 120)
    await page.keyboard.press("a")
    for control in ("lock", "keyboard", "clipboard"):
        await expect(page.locator(f'[data-do="{control}"]').first).to_be_hidden()
    box.role = "control"
    box.peer.say("fanlight::role", {"peer": box.peer.id, "role": "control", "width": WIDTH, "height": HEIGHT})
    await expect(page.locator("#watching")).to_be_hidden()
    await page.keyboard.press("b")
    await box.until(lambda: len(box.sent("fanlight::key")) == 2)
    assert box.kinds() == ["fanlight::key", "fanlight::key"], "nothing before the role changed"


async def test_the_text_is_there_before_the_paste_key(
    playing: Page, box: StandIn, context: BrowserContext
) -> None:
    await context.grant_permissions(["clipboard-read", "clipboard-write"])
    await playing.evaluate("navigator.clipboard.writeText('Grüße 🎐')")
    await playing.keyboard.press("Control+v")
    await box.until(lambda: len(box.sent("fanlight::key")) == 4)
    kinds = [(kind, data.get("code"), data.get("pressed")) for kind, data in box.control]
    assert kinds == [
        ("fanlight::key", "ControlLeft", True), ("fanlight::clipboard", None, None),
        ("fanlight::key", "KeyV", True), ("fanlight::key", "KeyV", False),
        ("fanlight::key", "ControlLeft", False),
    ]  # fmt: skip
    assert box.sent("fanlight::clipboard") == [{"text": "Grüße 🎐"}]


async def test_the_same_text_is_brought_along_again(
    playing: Page, box: StandIn, context: BrowserContext
) -> None:
    await context.grant_permissions(["clipboard-read", "clipboard-write"])
    await playing.evaluate("navigator.clipboard.writeText('twice')")
    for times in (1, 2):  # somebody else may have put another text there in between
        await playing.keyboard.press("Control+v")
        await box.until(lambda: len(box.sent("fanlight::clipboard")) == times)  # noqa: B023


async def test_the_clipboard_of_the_box_arrives(playing: Page, box: StandIn, context: BrowserContext) -> None:
    await context.grant_permissions(["clipboard-read", "clipboard-write"])
    await playing.mouse.click(640, 400)
    box.peer.say("fanlight::clipboard", {"text": "from the box"})
    await comes_true(playing, "async () => (await navigator.clipboard.readText()) === 'from the box'")


async def test_what_was_copied_elsewhere_meanwhile_stays(playing: Page, box: StandIn) -> None:
    await playing.evaluate(
        """() => {
          window.refuses = true;
          window.refused = 0;
          window.written = [];
          navigator.clipboard.writeText = async (text) => {
            if (window.refuses) {
              window.refused += 1;
              throw new Error('not without a gesture');
            }
            window.written.push(text);
          };
        }"""
    )
    await playing.mouse.click(640, 400)
    for refused, (text, leaves) in enumerate((("stays", False), ("leaves", True)), 1):
        box.peer.say("fanlight::clipboard", {"text": text})
        await playing.wait_for_function(f"() => window.refused === {refused}")
        if leaves:
            await playing.evaluate("window.dispatchEvent(new Event('blur'))")
        await playing.evaluate("window.refuses = false")
        await playing.keyboard.press("a")
        await playing.evaluate("window.refuses = true")
    await box.until(lambda: len(box.sent("fanlight::key")) == 4)
    assert await playing.evaluate("written") == ["stays"]


async def test_the_clipboard_dialog_sends_text_and_takes_the_keys(playing: Page, box: StandIn) -> None:
    await playing.hover("#handle")
    await playing.click('[data-do="clipboard"]')
    await playing.keyboard.type("typed here")
    await playing.get_by_role("button", name="Send to the box").click()
    await box.until(lambda: box.sent("fanlight::clipboard") == [{"text": "typed here"}])
    assert box.sent("fanlight::key") == []
    await expect(playing.locator("#screen")).to_be_focused()


async def test_text_that_is_too_long_is_refused_here(playing: Page, box: StandIn) -> None:
    await playing.hover("#handle")
    await playing.click('[data-do="clipboard"]')
    await playing.locator("#clipboard-content").fill("x" * 300_000)
    await playing.get_by_role("button", name="Send to the box").click()
    await expect(playing.get_by_role("status").filter(has_text="too long")).to_be_visible()
    assert box.sent("fanlight::clipboard") == []


async def test_text_that_cannot_go_at_the_moment_is_kept_with_a_word(playing: Page, box: StandIn) -> None:
    await playing.hover("#handle")
    await playing.click('[data-do="clipboard"]')
    box.silent = True
    await box.peer.pc.close()
    await playing.wait_for_function("() => fanlight.state === 'reconnecting'")
    await playing.locator("#clipboard-content").fill("late")
    await playing.get_by_role("button", name="Send to the box").click()
    await expect(playing.get_by_role("status").filter(has_text="no connection")).to_be_visible()
    await expect(playing.locator("#clipboard-content")).to_have_value("late")


async def test_of_two_shifts_the_last_lifted_is_both(playing: Page, box: StandIn) -> None:
    await playing.keyboard.down("ShiftLeft")
    await playing.keyboard.down("ShiftRight")
    await playing.keyboard.up("ShiftRight")  # all that Windows tells
    await box.until(lambda: len(pressed(box)) == 4)
    assert set(pressed(box)[2:]) == {("ShiftLeft", False), ("ShiftRight", False)}


@pytest.mark.parametrize(
    ("kind", "code", "key"),
    [
        ("keydown", "Backquote", "Zenkaku"),
        ("keydown", "CapsLock", "Alphanumeric"),
        ("keyup", "PrintScreen", "PrintScreen"),
    ],
)
async def test_keys_of_which_windows_tells_one_half(
    playing: Page, box: StandIn, kind: str, code: str, key: str
) -> None:
    await playing.evaluate(STRIKE, {"type": kind, "code": code, "key": key})
    await box.until(lambda: len(pressed(box)) == 2)
    assert pressed(box) == [(code, True), (code, False)]


async def test_a_paste_key_that_waits_as_the_focus_goes_is_not_pressed(playing: Page, box: StandIn) -> None:
    await playing.evaluate(
        f"""() => {{
          {STRIKE_PASTE}
          window.dispatchEvent(new Event('blur'));
          return new Promise((resolve) => {{ setTimeout(resolve, 100); }});  // as the key would wait
        }}"""
    )
    await playing.keyboard.press("b")
    await box.until(lambda: ("KeyB", False) in pressed(box))
    assert pressed(box) == [("KeyB", True), ("KeyB", False)]


async def test_lines_of_windows_end_as_those_of_the_box(playing: Page, box: StandIn) -> None:
    await playing.evaluate(
        f"""() => {{
          {STRIKE_PASTE}
          const clipboardData = new DataTransfer();
          clipboardData.setData('text/plain', 'one\\r\\ntwo\\r\\n');
          document.activeElement.dispatchEvent(
            new ClipboardEvent('paste', {{ bubbles: true, cancelable: true, clipboardData }}));
        }}"""
    )
    await box.until(lambda: box.sent("fanlight::clipboard"))
    assert box.sent("fanlight::clipboard") == [{"text": "one\ntwo\n"}]


async def test_who_may_only_watch_any_more_has_the_pointer_and_no_dialog(playing: Page, box: StandIn) -> None:
    view = {"peer": box.peer.id, "role": "view", "width": WIDTH, "height": HEIGHT}
    await playing.hover("#handle")
    await playing.click('[data-do="lock"]')
    await playing.wait_for_function("() => document.pointerLockElement")
    box.peer.say("fanlight::role", view)
    await playing.wait_for_function("() => !document.pointerLockElement")
    box.peer.say("fanlight::role", view | {"role": "control"})
    await playing.hover("#handle")
    await playing.click('[data-do="clipboard"]')
    await expect(playing.locator("#clipboard-content")).to_be_visible()
    box.peer.say("fanlight::role", view)
    await expect(playing.locator("#clipboard-content")).to_be_hidden()
