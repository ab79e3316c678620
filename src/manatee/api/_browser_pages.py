"""The service's own pages: signing in, the return from an identity provider, one's account.

They are files. All that they do they do through the API, with a token that the open page holds in
its memory: there is no cookie, so no other site can act with it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter
from fastapi import Path as InPath
from starlette.responses import RedirectResponse, Response

from manatee.errors import NotFoundError

FOLDER = Path(__file__).parent / "pages"
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": (
        "publickey-credentials-create=(self), publickey-credentials-get=(self), "
        "camera=(), microphone=(), geolocation=()"
    ),
    "cache-control": "no-store",
}
_TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}
_FILES = {
    path.name: (path.read_bytes(), _TYPES[path.suffix])
    for path in sorted(FOLDER.iterdir())
    if path.suffix in _TYPES
}
_PAGE = (FOLDER / "page.html").read_bytes()

router = APIRouter(include_in_schema=False)


@router.get("/sign-in")
@router.get("/signed-in")
@router.get("/invitation")
@router.get("/account")
def page() -> Response:
    """Return the one page; its script looks at the address."""
    return Response(_PAGE, headers=HEADERS, media_type="text/html")


@router.get("/")
def root() -> Response:
    """Send a browser to the account page."""
    return RedirectResponse("/account", status_code=303)


@router.get("/pages/{name}")
def file(name: Annotated[str, InPath(pattern=r"^[a-z]+\.(js|css)$")]) -> Response:
    """Return a script or the style sheet."""
    if name not in _FILES:
        raise NotFoundError("there is no such file.")
    data, media_type = _FILES[name]
    return Response(data, headers=HEADERS, media_type=media_type)
