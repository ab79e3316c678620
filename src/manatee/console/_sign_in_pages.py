"""Signing in and out."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from manatee.client import AskedBrowser, SignInClient
from manatee.console._pages import LOOPBACK, CheckedForm, FormOf, SessionOf, console_of, go, page
from manatee.console._sessions import COOKIE
from manatee.errors import AuthenticationError, ManateeError, NotFoundError
from manatee.records import SignIn, to_record

router = APIRouter()

RETURN_PATH = "/returned"
ASKED_COOKIE = "manatee_console_asked"
ENDED = (
    "Your session has ended: nothing was done for an hour, eight hours have passed, or the service "
    "no longer accepts its token. Sign in again."
)


def _begun(request: Request, token: str) -> Response:
    response = go("/")
    _set_session(request, response, token)
    return response


def _set_session(request: Request, response: Response, token: str) -> None:
    response.set_cookie(
        COOKIE,
        console_of(request).sessions.begin(token),
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
        path="/",
    )


@router.get("/start/{code}")
def start(request: Request, code: str) -> Response:
    """Sign in whoever holds the address that `manatee console` printed; works once."""
    context = console_of(request)
    if context.take_start_code(code):
        # a cookie that a link from elsewhere brings along would not be sent: go by a page of ours
        return _begun(request, context.keys.token)
    return page(request, "sign_in.html", status=403, problem="This address was used already.")


@router.get("/sign-in")
def sign_in_page(request: Request, ended: str = "") -> Response:
    """Ask for a token, or for name, password and code."""
    return page(request, "sign_in.html", problem=ENDED if ended else "")


@router.post("/sign-in")
def sign_in(request: Request, form: FormOf) -> Response:
    """Sign in with an API token, or with name, password and code."""
    try:
        token = form.get("token", "").strip()
        if not token:
            given = {"name": form.get("name", "").strip(), "password": form.get("password", "")}
            given["code"] = form.get("code", "").strip()
            wanted = to_record(given, SignIn, what="sign-in")
            with SignInClient(console_of(request).url) as client:
                token = client.sign_in(wanted).token
        return _begun(request, token)
    except ManateeError as error:
        return page(request, "sign_in.html", status=403, problem=f"{error.message} {error.hint}")


@router.get("/at-the-service")
def leave(request: Request) -> Response:
    """Send the browser to the service's own page: passkey, password or identity provider."""
    here = request.url
    if here.hostname not in LOOPBACK or here.scheme != "http":
        raise NotFoundError("only a console on one's own computer can do that.")
    asked = AskedBrowser.fresh()
    host = f"[{here.hostname}]" if ":" in here.hostname else here.hostname
    return_to = f"http://{host}:{here.port}{RETURN_PATH}"
    url = asked.address(console_of(request).url, program="console", return_to=return_to)
    response = go(url)
    response.set_cookie(
        ASKED_COOKIE,
        f"{asked.state}.{asked.verifier}",
        max_age=600,
        httponly=True,
        samesite="lax",  # the service's page brings the browser back
        path=RETURN_PATH,
    )
    return response


@router.get(RETURN_PATH)
def come_back(request: Request, code: str = "", state: str = "") -> Response:
    """Take what the service's page brought."""
    wanted, _, verifier = request.cookies.get(ASKED_COOKIE, "").partition(".")
    try:
        if not (wanted and verifier):
            raise AuthenticationError("this console asked for nothing that this answers.")
        with SignInClient(console_of(request).url) as client:
            token = AskedBrowser(wanted, verifier).exchange(client, state=state, code=code).token
        # the session's cookie is not sent on a way that began elsewhere: go on by a page of ours
        response = page(request, "signed_in.html")
        _set_session(request, response, token)
    except ManateeError as error:
        problem = f"{error.message} {error.hint}"
        response = page(request, "sign_in.html", status=403, problem=problem)
    response.delete_cookie(ASKED_COOKIE, path=RETURN_PATH)
    return response


@router.post("/sign-out")
def sign_out(request: Request, _session: SessionOf, _form: CheckedForm) -> Response:
    """Forget the session here; the token stays valid."""
    console_of(request).sessions.end(request.cookies.get(COOKIE, ""))
    response = go("/sign-in")
    response.delete_cookie(COOKIE)
    return response
