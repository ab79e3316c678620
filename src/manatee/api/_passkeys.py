"""Passkeys: registered by somebody who is signed in, and signing in with one."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from manatee.api._answers import answer, body_of, documented
from manatee.api._bodies import JsonBody, StrangersBody
from manatee.api._callers import CallerOf, in_scope_for
from manatee.api._context import context_of
from manatee.api._sign_in import address_of
from manatee.errors import ConflictError, LimitError, NotFoundError
from manatee.identity import (
    CHALLENGE_SECONDS,
    authenticated,
    authentication_options,
    credential_id,
    new_challenge,
    registered,
    registration_options,
)
from manatee.records import (
    IssuedToken,
    PasskeyAnswer,
    PasskeyEntry,
    PasskeyList,
    PasskeyOptions,
    read_record,
)

PasskeyId = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,1400}$")]

router = APIRouter(prefix="/v1")

_LIFE = timedelta(seconds=CHALLENGE_SECONDS)


def _origin(request: Request) -> str:
    origin = context_of(request).public_url
    if not origin:
        raise NotFoundError(
            "this service has no passkeys.", hint="The operator sets MANATEE_PUBLIC_URL for them."
        )
    return origin


@router.get("/passkeys", responses=documented("The passkeys.", PasskeyList))
def list_passkeys(request: Request, account: CallerOf) -> Response:
    """List one's passkeys."""
    return answer(PasskeyList(passkeys=context_of(request).store.passkeys.of(account.name)))


@router.post(
    "/passkeys/options",
    responses=documented("For `navigator.credentials.create`.", PasskeyOptions, NotFoundError),
)
def begin_registration(request: Request, account: CallerOf) -> Response:
    """Begin to register a passkey."""
    in_scope_for(account, "credentials")
    origin, store = _origin(request), context_of(request).store
    challenge = new_challenge()
    known = [item.id for item in store.passkeys.of(account.name)]
    options = registration_options(origin, challenge, account=account.name, known=known)
    flow = store.flows.begin("register", challenge, life=_LIFE, account=account.name)
    return answer(PasskeyOptions(flow=flow, options=options))


@router.post(
    "/passkeys",
    status_code=201,
    responses=documented("The passkey.", PasskeyEntry, NotFoundError, ConflictError, status=201),
    openapi_extra=body_of(PasskeyAnswer),
)
def register(request: Request, account: CallerOf, body: JsonBody) -> Response:
    """Keep the passkey that the browser has made."""
    in_scope_for(account, "credentials")
    origin, store = _origin(request), context_of(request).store
    given = read_record(body, PasskeyAnswer, what="passkey")
    challenge = store.flows.take("register", given.flow, account=account.name)
    passkey = registered(origin, challenge, given.credential)
    return answer(store.passkeys.add(account.name, passkey, label=given.label), 201)


@router.delete(
    "/passkeys/{passkey_id}",
    status_code=204,
    response_class=Response,
    responses=documented("It signs nobody in any more.", None, NotFoundError, status=204),
)
def remove(request: Request, passkey_id: PasskeyId, account: CallerOf) -> Response:
    """Remove one of one's passkeys."""
    in_scope_for(account, "credentials")
    context_of(request).store.passkeys.remove(account.name, passkey_id)
    return Response(status_code=204)


@router.post(
    "/sign-in/passkey/options",
    responses=documented(
        "For `navigator.credentials.get`.", PasskeyOptions, NotFoundError, LimitError
    ),
)
def begin_sign_in(request: Request) -> Response:
    """Begin to sign in with a passkey."""
    origin, store = _origin(request), context_of(request).store
    store.credentials.attempt(address_of(request))
    challenge = new_challenge()
    flow = store.flows.begin("passkey", challenge, life=_LIFE)
    return answer(PasskeyOptions(flow=flow, options=authentication_options(origin, challenge)))


@router.post(
    "/sign-in/passkey",
    responses=documented("A token for half a day.", IssuedToken, NotFoundError, LimitError),
    openapi_extra=body_of(PasskeyAnswer),
)
def sign_in(request: Request, body: StrangersBody) -> Response:
    """Sign in with what the browser has signed."""
    origin, store = _origin(request), context_of(request).store
    store.credentials.attempt(address_of(request))
    given = read_record(body, PasskeyAnswer, what="passkey")
    challenge = store.flows.take("passkey", given.flow)
    check = partial(authenticated, origin, challenge, given.credential)
    return answer(store.passkeys.sign_in(credential_id(given.credential), check))
