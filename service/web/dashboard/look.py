"""How pages look: templates, the menu, and what every page says of where it is and who reads it."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING, Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse, RedirectResponse

from service import clock
from service.web import cookies
from service.web.dashboard.assets import Assets
from service.web.dashboard.filters import FILTERS
from service.web.tokens import Role

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.requests import Request
    from starlette.responses import Response

THEME = "catchlight_theme"
THEMES = ("light", "dark")
_SAID = "catchlight_said"
_SAID_LIVES = 30
_SAID_MOST = 600
_MENU = (
    ("/", "Now"),
    ("/predictions", "Predictions"),
    ("/gallery", "Gallery"),
    ("/review", "Review"),
    ("/hooks", "Hooks"),
    ("/deliveries", "Deliveries"),
    ("/refused", "Refused callbacks"),
    ("/runs", "Bulk runs"),
    ("/workers", "Workers"),
    ("/settings", "Settings"),
    ("/setup", "Setup"),
)


class Which(NamedTuple):
    """Of several shards, whose pages these are, and all between which one may go from here."""

    shard: str | None = None
    beside: Sequence[str] = ()


class Look:
    def __init__(
        self, environment: str | None = None, which: Which | None = None, *, can_sign_out: bool = False
    ) -> None:
        """`environment`: which one this is, for whoever has several open."""
        self.assets = Assets()
        self._environment = environment
        self._which = which or Which()
        self._can_sign_out = can_sign_out
        # Autoescape without exception: models, prompts and errors are strangers' words.
        self._templates = Environment(
            loader=PackageLoader("service.web.dashboard"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters.update(FILTERS)
        self._templates.globals["asset"] = self.assets.url

    def page(
        self,
        request: Request,
        template: str,
        /,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        **shown: Any,
    ) -> HTMLResponse:
        """A template of ours with what it shows; `now`, `role`, `operates` and the like are there already."""
        role = request.scope.get("state", {}).get("role")
        said = _unpacked(request.cookies.get(_SAID))
        html = self._templates.get_template(template).render(
            {
                "now": clock.now(),
                "role": role,
                "operates": role is Role.OPERATOR,
                "signed_in": role is not None and self._can_sign_out,
                "environment": self._environment,
                "shard": self._which.shard,
                "shards": self._which.beside if role is not None else (),
                "path": request.url.path,
                "here": _address(request),
                "menu": _MENU if role is not None else (),
                "theme": _theme(request),
                "said": said,
            }
            | shown
        )
        answer = HTMLResponse(html, status, dict(headers or {}))
        if said:
            answer.delete_cookie(_SAID, httponly=True, samesite="strict")
        return answer

    @staticmethod
    def back(request: Request, to: str, said: str = "") -> Response:
        """After a form's work: to a page of ours (a path), which shows once what was `said`."""
        answer = RedirectResponse(to, 303)
        if said:
            told = urlsafe_b64encode(said[:_SAID_MOST].encode()).decode()
            cookies.give(answer, request, _SAID, told, lives=_SAID_LIVES)
        return answer


def _unpacked(cookie: str | None) -> str:
    """Of a cookie that somebody else made, nothing or what it says: the template escapes it."""
    try:
        return urlsafe_b64decode(cookie or "").decode()
    except ValueError:
        return ""


def _address(request: Request) -> str:
    query = request.url.query
    return request.url.path + (f"?{query}" if query else "")


def _theme(request: Request) -> str:
    """Empty: as the reader's system has it."""
    wanted = request.cookies.get(THEME, "")
    return wanted if wanted in THEMES else ""
