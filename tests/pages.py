"""A page as a reader gets it: its words, its links and its forms, which a test fills in and sends."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx

_VOID = ("meta", "link", "input", "img", "br", "hr")
BROWSER = {"accept": "text/html", "sec-fetch-site": "same-origin"}


class Form:
    def __init__(self, tag: dict[str, str]) -> None:
        self.method = tag.get("method", "get")
        self.action = tag.get("action", "")
        self.fields: dict[str, str] = {}
        self.label = ""


class Page(HTMLParser):
    def __init__(self, answer: httpx.Response) -> None:
        super().__init__()
        assert answer.headers["content-type"].startswith("text/html"), answer.text
        self.status = answer.status_code
        self.links: list[str] = []
        self.forms: list[Form] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self._words: list[str] = []
        self._open: list[str] = []
        self._main = False
        self.feed(answer.text)
        self.text = " ".join(" ".join(self._words).split())
        """Of the main part."""

    def form(self, label: str) -> Form:
        """The one whose button says so."""
        found = [form for form in self.forms if label in form.label]
        assert len(found) == 1, f"{label}: {[form.label for form in self.forms]}"
        return found[0]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.tags.append((tag, found))
        if tag not in _VOID:
            self._open.append(tag)
        self._main = self._main or tag == "main"
        if not self._main:
            return
        if tag == "a":
            self.links.append(found.get("href", ""))
        if tag == "form":
            self.forms.append(Form(found))
        if "name" in found and self.forms and tag in ("input", "select", "textarea", "button"):
            checkable = found.get("type") == "checkbox" and "checked" not in found
            if not checkable:
                self.forms[-1].fields[found["name"]] = found.get("value", "")
        if tag == "option" and "selected" in found:
            select = [name for kind, one in self.tags if kind == "select" for name in [one["name"]]][-1]
            self.forms[-1].fields[select] = found["value"]

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self._main:
            self._words.append(data)
        if "button" in self._open and self.forms:
            self.forms[-1].label += data


async def get(client: httpx.AsyncClient, path: str, status: int = 200) -> Page:
    answer = await client.get(path, headers=BROWSER)
    assert answer.status_code == status, answer.text
    return Page(answer)


async def sent(client: httpx.AsyncClient, form: Form, **filled: str) -> Page:
    """The page that a form leads to, with what it said on the way."""
    assert form.method == "post"
    answer = await client.post(form.action, data=form.fields | filled, headers=BROWSER)
    if answer.status_code != 303:
        return Page(answer)
    return await get(client, answer.headers["location"])


_GOES = ("href", "src", "action", "formaction", "poster", "xlink:href", "hx-get", "hx-post")
_RUNS = ("javascript:", "data:", "vbscript:")


def dangers(page: Page) -> list[tuple[str, dict[str, str]]]:
    """Tags that would run something that is no file of ours, or look like something of a stranger's."""
    return [
        (tag, found)
        for tag, found in page.tags
        if any(name.startswith("on") or name == "style" for name in found)
        or any(found.get(name, "").lower().lstrip().startswith(_RUNS) for name in _GOES)
        or (tag == "script" and not found.get("src", "").startswith("/static/"))
        or tag in ("iframe", "object", "embed", "base", "marquee", "math", "style")
    ]


XSS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</title><svg/onload=alert(1)>",
    "{{ 7*7 }}<style>*{display:none}</style>",
    "javascript:alert(1)",
)
"""What a stranger may have written wherever he may write anything."""
