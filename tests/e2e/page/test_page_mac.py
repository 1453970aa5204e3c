"""The page on a Mac, whose shortcuts are Command's."""

import pytest
from playwright.async_api import BrowserContext, Page

from tests.e2e.page.standin import StandIn

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

SAFARI = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.0 Safari/605.1.15"
)


@pytest.fixture
def options() -> dict[str, object]:
    return {"viewport": {"width": 1280, "height": 800}, "user_agent": SAFARI}


async def keys(box: StandIn, count: int) -> list[tuple[str, bool]]:
    """The first keys that the box was told of, once there are so many."""
    await box.until(lambda: len(box.sent("fanlight::key")) >= count)
    return [(key["code"], key["pressed"]) for key in box.sent("fanlight::key")]


async def test_command_with_a_shortcut_of_editing_is_control(playing: Page, box: StandIn) -> None:
    await playing.keyboard.down("Meta")
    await playing.keyboard.down("c")  # a Mac does not tell that it is lifted
    await playing.keyboard.up("Meta")
    assert await keys(box, 4) == [
        ("ControlLeft", True), ("KeyC", True), ("KeyC", False), ("ControlLeft", False),
    ]  # fmt: skip


async def test_shift_does_not_decide_what_command_is(playing: Page, box: StandIn) -> None:
    await playing.keyboard.press("Meta+Shift+z")
    assert await keys(box, 6) == [
        ("ShiftLeft", True), ("ControlLeft", True), ("KeyZ", True),
        ("KeyZ", False), ("ShiftLeft", False), ("ControlLeft", False),
    ]  # fmt: skip


async def test_command_v_brings_the_text_along(playing: Page, box: StandIn, context: BrowserContext) -> None:
    await context.grant_permissions(["clipboard-read", "clipboard-write"])
    await playing.evaluate("navigator.clipboard.writeText('of the Mac')")
    await playing.keyboard.down("Meta")
    await playing.evaluate(
        """async () => {
          const data = new DataTransfer();
          data.setData('text/plain', await navigator.clipboard.readText());
          const reach = { bubbles: true, cancelable: true };
          const key = new KeyboardEvent('keydown', { ...reach, code: 'KeyV', key: 'v', metaKey: true });
          document.activeElement.dispatchEvent(key);
          const paste = new ClipboardEvent('paste', { ...reach, clipboardData: data });
          document.activeElement.dispatchEvent(paste);
        }"""
    )
    await playing.keyboard.up("Meta")
    assert await keys(box, 4) == [
        ("ControlLeft", True), ("KeyV", True), ("KeyV", False), ("ControlLeft", False),
    ]  # fmt: skip
    kinds = [kind for kind in box.kinds() if kind in ("fanlight::key", "fanlight::clipboard")]
    assert kinds[:3] == ["fanlight::key", "fanlight::clipboard", "fanlight::key"]
    assert box.sent("fanlight::clipboard") == [{"text": "of the Mac"}]


async def test_command_is_itself_alone_with_other_keys_and_with_the_pointer(
    playing: Page, box: StandIn
) -> None:
    await playing.keyboard.press("Meta")
    await playing.keyboard.press("Meta+d")
    await playing.keyboard.down("Meta")
    await playing.mouse.click(640, 400)
    await playing.keyboard.up("Meta")
    assert await keys(box, 8) == [
        ("MetaLeft", True), ("MetaLeft", False),
        ("MetaLeft", True), ("KeyD", True), ("KeyD", False), ("MetaLeft", False),
        ("MetaLeft", True), ("MetaLeft", False),
    ]  # fmt: skip
    sent = [kind for kind in box.kinds() if kind != "input::mouse-move"]
    assert sent[-4:] == ["fanlight::key", "input::mouse-button", "input::mouse-button", "fanlight::key"]


async def test_what_is_struck_again_under_command_is_struck_again(playing: Page, box: StandIn) -> None:
    """A Mac tells of no key that is lifted under Command: the box would repeat it, and take no second one."""
    await playing.keyboard.down("Meta")
    await playing.keyboard.down("z")
    await playing.keyboard.down("z")  # held, it repeats
    await playing.evaluate(
        """document.activeElement.dispatchEvent(new KeyboardEvent('keydown',
          { bubbles: true, cancelable: true, code: 'KeyZ', key: 'z', metaKey: true }))"""
    )
    await playing.keyboard.up("Meta")
    stroke = [("KeyZ", True), ("KeyZ", False)]
    assert await keys(box, 8) == [("ControlLeft", True), *stroke * 3, ("ControlLeft", False)]


async def test_shift_outlasts_command(playing: Page, box: StandIn) -> None:
    await playing.keyboard.down("Shift")
    await playing.keyboard.down("Meta")
    await playing.keyboard.down("z")
    await playing.keyboard.up("Meta")
    await playing.keyboard.press("ArrowLeft")
    await playing.keyboard.up("Shift")
    assert await keys(box, 8) == [
        ("ShiftLeft", True), ("ControlLeft", True), ("KeyZ", True), ("KeyZ", False), ("ControlLeft", False),
        ("ArrowLeft", True), ("ArrowLeft", False), ("ShiftLeft", False),
    ]  # fmt: skip


async def test_caps_lock_is_struck_as_it_goes_on_and_as_it_goes_off(playing: Page, box: StandIn) -> None:
    await playing.keyboard.down("CapsLock")  # on
    assert await keys(box, 2) == [("CapsLock", True), ("CapsLock", False)]
    await playing.keyboard.up("CapsLock")  # off
    assert await keys(box, 4) == [("CapsLock", True), ("CapsLock", False)] * 2
