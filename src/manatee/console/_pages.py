"""Between requests and templates: who asks, what a form says, how a page goes out."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qsl

from fastapi import Depends, Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, RedirectResponse, Response

from manatee.console._keys import OwnKeys
from manatee.console._sessions import COOKIE, Session, Sessions, check_form
from manatee.errors import MalformedError

LOOPBACK = frozenset({"127.0.0.1", "::1"})
"""Hosts of a console on one's own computer, by address: names can be anybody's."""

FOLDER = Path(__file__).parent
MAX_FORM_BYTES = 64 << 10
MAX_FORM_FIELDS = 50

_templates = Environment(
    loader=FileSystemLoader(FOLDER / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters["words"] = lambda text: str(text).replace("_", " ").replace("-", " ")


@dataclass
class ConsoleContext:
    """What every page needs, set once by `create_console`."""

    sessions: Sessions
    keys: OwnKeys
    url: str
    start_code: str = ""

    def take_start_code(self, given: str) -> bool:
        """Return whether this is the one-time code, which is worth nothing from then on."""
        wanted, fits = (
            self.start_code,
            hmac.compare_digest(given.encode(), self.start_code.encode()),
        )
        if not (wanted and fits):
            return False
        self.start_code = ""
        return True


def console_of(request: Request) -> ConsoleContext:
    """Return the context of the console that serves this request."""
    context: ConsoleContext = request.app.state.console
    return context


def signed_in(request: Request) -> Session:
    """Return the caller's session.

    Raises:
        AuthenticationError: Not signed in.
    """
    return console_of(request).sessions.get(request.cookies.get(COOKIE, ""))


SessionOf = Annotated[Session, Depends(signed_in)]


async def form_of(request: Request) -> dict[str, str]:
    """Return the fields of a posted form; of one that stands twice, the last.

    Raises:
        MalformedError: It is no form, or too large.
    """
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > MAX_FORM_BYTES:
            raise MalformedError("the form is too large.")
    try:
        pairs = parse_qsl(
            data.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(data),
            max_num_fields=MAX_FORM_FIELDS,
            errors="strict",
        )
    except (UnicodeDecodeError, ValueError) as error:
        raise MalformedError("this is no form.") from error
    return dict(pairs)


FormOf = Annotated[dict[str, str], Depends(form_of)]


def checked_form(session: SessionOf, form: FormOf) -> dict[str, str]:
    """Return a form that this session's own page sent."""
    check_form(session, form)
    return form


CheckedForm = Annotated[dict[str, str], Depends(checked_form)]


def page(request: Request, template: str, *, status: int = 200, **values: Any) -> Response:
    """Return a page, or for htmx only its `main`; unknown names in templates are errors."""
    context = console_of(request)
    session: Session | None = values.pop("session", None)
    text = _templates.get_template(template).render(
        session=session,
        caller=None if session is None else session.caller,
        csrf="" if session is None else session.csrf,
        keys=context.keys,
        path=request.url.path,
        service=context.url,
        own_computer=request.url.hostname in LOOPBACK,
        **values,
    )
    return HTMLResponse(text, status_code=status)


def go(where: str) -> Response:
    """Send the browser on after a form."""
    return RedirectResponse(where, status_code=303)
