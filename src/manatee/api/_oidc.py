"""Signing in at an OpenID Connect provider: by a browser, or by any device for a terminal.

Whoever begins gets a handle, and only who holds it can finish: an answer of the provider that
somebody else slips in fits no handle of the person's own.
"""

from __future__ import annotations

import hmac
from datetime import timedelta

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from manatee.api._answers import answer, body_of, documented
from manatee.api._bodies import StrangersBody
from manatee.api._context import context_of
from manatee.api._sign_in import address_of
from manatee.errors import (
    AuthenticationError,
    ConflictError,
    IdentityProviderError,
    LimitError,
    NotFoundError,
)
from manatee.identity import Asked, Device, NotYet, Provider
from manatee.records import (
    DevicePoll,
    DeviceSignIn,
    DeviceState,
    IssuedToken,
    ProviderReturn,
    ProviderSignIn,
    read_record,
)

router = APIRouter(prefix="/v1/sign-in")

FLOW_LIFE = timedelta(minutes=10)
RETURN_PATH = "/signed-in"
"""Where the provider sends browsers back to, under the public URL."""

_ERRORS = (NotFoundError, LimitError, IdentityProviderError)


def _provider(request: Request) -> tuple[Provider, str]:
    context = context_of(request)
    if context.provider is None:
        raise NotFoundError("this service has no identity provider.")
    return context.provider, context.public_url + RETURN_PATH


@router.post(
    "/provider",
    responses=documented("Where to send the browser.", ProviderSignIn, *_ERRORS),
)
def begin(request: Request) -> Response:
    """Begin a sign-in by browser."""
    provider, redirect_uri = _provider(request)
    store = context_of(request).store
    store.credentials.attempt(address_of(request))
    asked = Asked.fresh()
    url = provider.authorization_url(asked, redirect_uri)
    value = msgspec.json.encode(asked).decode()
    return answer(ProviderSignIn(flow=store.flows.begin("oidc", value, life=FLOW_LIFE), url=url))


@router.post(
    "/provider/return",
    responses=documented("A token for half a day.", IssuedToken, ConflictError, *_ERRORS),
    openapi_extra=body_of(ProviderReturn),
)
def finish(request: Request, body: StrangersBody) -> Response:
    """Finish it with what the provider's redirect brought back."""
    provider, redirect_uri = _provider(request)
    store = context_of(request).store
    store.credentials.attempt(address_of(request))
    given = read_record(body, ProviderReturn, what="return")
    asked = msgspec.json.decode(store.flows.take("oidc", given.flow), type=Asked)
    if not hmac.compare_digest(asked.state.encode(), given.state.encode()):
        raise AuthenticationError("this answer belongs to another sign-in.", hint="Begin again.")
    subject = provider.subject(
        asked, code=given.code, issuer=given.issuer, redirect_uri=redirect_uri
    )
    return answer(
        store.links.sign_in(provider.issuer, subject, name=given.name, invitation=given.invitation)
    )


@router.post("/device", responses=documented("What to type where.", DeviceSignIn, *_ERRORS))
def begin_device(request: Request) -> Response:
    """Begin a sign-in for a terminal; the person confirms it at the provider, on any device."""
    provider, _ = _provider(request)
    store = context_of(request).store
    store.credentials.attempt(address_of(request))
    device = provider.start_device()
    value = msgspec.json.encode(device).decode()
    flow = store.flows.begin("device", value, life=timedelta(seconds=device.expires_in))
    return answer(
        DeviceSignIn(
            flow=flow,
            user_code=device.user_code,
            url=device.url,
            interval=device.interval,
            expires_in=device.expires_in,
        )
    )


@router.post(
    "/device/poll",
    responses=documented("Not yet, or signed in.", DeviceState, ConflictError, *_ERRORS),
    openapi_extra=body_of(DevicePoll),
)
def poll_device(request: Request, body: StrangersBody) -> Response:
    """Ask whether the person has confirmed."""
    provider, _ = _provider(request)
    store = context_of(request).store
    given = read_record(body, DevicePoll, what="question")
    device = msgspec.json.decode(store.flows.look("device", given.flow), type=Device)
    found = provider.poll_device(device.code)
    if isinstance(found, NotYet):
        return answer(DeviceState(interval=device.interval + 5 * found.slower))
    store.flows.take("device", given.flow)
    made = store.links.sign_in(provider.issuer, found, name=given.name, invitation=given.invitation)
    return answer(DeviceState(interval=device.interval, token=made))
