"""The palette: everything that the app can do now, by name."""

from typing import TYPE_CHECKING, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider

if TYPE_CHECKING:
    from tui.app import FanlightApp


class FanlightCommands(Provider):
    """Searches FanlightApp.commands."""

    @property
    def _app(self) -> "FanlightApp":
        return cast("FanlightApp", self.app)

    async def discover(self) -> Hits:
        """All of them, before anything is typed."""
        for name, about, act in self._app.commands():
            yield DiscoveryHit(name, act, help=about)

    async def search(self, query: str) -> Hits:
        """Those that match."""
        matcher = self.matcher(query)
        for name, about, act in self._app.commands():
            if (score := matcher.match(name)) > 0:
                yield Hit(score, matcher.highlight(name), act, help=about)
