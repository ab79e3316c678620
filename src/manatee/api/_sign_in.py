"""Signing in with a password and a second factor, and setting them up by invitation."""

from __future__ import annotations

from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from starlette.responses import Response

from manatee.api._answers import answer, body_of, documented
from manatee.api._bodies import StrangersBody
from manatee.api._context import context_of
from manatee.errors import LimitError
from manatee.records import (
    IssuedToken,
    Redemption,
    SecondFactor,
    SignIn,
    SignInWays,
    read_record,
)

router = APIRouter(prefix="/v1/sign-in")


def address_of(request: Request) -> str:
    """Return from where a request comes.

    A proxy on this machine may say it for its callers in `X-Forwarded-For`; nobody else can.
    """
    return request.client.host if request.client else ""


@router.get("", responses=documented("The ways.", SignInWays))
def ways(request: Request) -> Response:
    """Say how people can sign in here, beside name, password and code."""
    context = context_of(request)
    provider = "" if context.provider is None else urlsplit(context.provider.issuer).netloc
    return answer(
        SignInWays(
            passkeys=bool(context.public_url), provider=provider, public_url=context.public_url
        )
    )


@router.post(
    "",
    responses=documented("A token for half a day.", IssuedToken, LimitError),
    openapi_extra=body_of(SignIn),
)
def sign_in(request: Request, body: StrangersBody) -> Response:
    """Sign in with a password and a code of the authenticator app, or a recovery code."""
    wanted = read_record(body, SignIn, what="sign-in")
    made = context_of(request).store.credentials.sign_in(
        wanted.name,
        wanted.password,
        wanted.code,
        address=address_of(request),
        scopes=wanted.scopes,
    )
    return answer(made)


@router.post(
    "/invitation",
    responses=documented("The second factor, shown this once.", SecondFactor, LimitError),
    openapi_extra=body_of(Redemption),
)
def redeem(request: Request, body: StrangersBody) -> Response:
    """Take up an invitation: set a password, get a second factor. Ends all tokens there were."""
    wanted = read_record(body, Redemption, what="redemption")
    factor = context_of(request).store.credentials.redeem(
        wanted.name, wanted.invitation, wanted.password, address=address_of(request)
    )
    return answer(factor)
