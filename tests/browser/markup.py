"""What a page's markup may not have, whoever's words are in it."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Sequence

_ADDRESSES = {"href", "src", "action", "formaction", "poster", "data", "xlink:href", "srcset"}
_LOADED = {"img", "script", "link", "video", "audio", "source", "iframe", "object", "embed", "form", "button"}
_NEVER = {"base", "iframe", "object", "embed", "style", "template", "foreignobject", "animate", "marquee"}
_STRANGERS = ("__pwned", "evil.example")


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.faults: list[str] = []

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        if tag in _NEVER or (tag == "script" and "src" not in names):
            self.faults.append(f"a {tag} that is none of ours")
        if tag == "meta" and "http-equiv" in names:
            self.faults.append("a meta that is a header")
        for name, value in attrs:
            self._attribute(tag, name, value or "")

    def _attribute(self, tag: str, name: str, value: str) -> None:
        shown = f"<{tag} {name}={value[:80]!r}>"
        if name.startswith("on") or name == "style":
            self.faults.append(f"{shown}: the CSP would not let it")
        if name.startswith(("hx-", "data-hx-")) and any(word in value for word in _STRANGERS):
            # Addresses of our own carry queries; a stranger's words in them are encoded.
            self.faults.append(f"{shown}: htmx would do what a stranger says")
        if name in _ADDRESSES:
            address = urlsplit(value)
            elsewhere = bool(address.netloc or value.startswith(("//", "/\\", "\\")))
            if address.scheme not in ("", "http", "https") or (elsewhere and tag in _LOADED):
                self.faults.append(f"{shown}: leads elsewhere")


def faults(html: str) -> list[str]:
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader.faults
