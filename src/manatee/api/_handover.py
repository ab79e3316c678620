"""A token for a program on the person's own computer, handed over by her browser.

The program listens on the loopback interface and opens the service's sign-in page; the page asks
the person and sends the browser back with a code, which only that program can exchange (RFC 8252
with PKCE, RFC 7636). The token itself is in no address.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64encode
from datetime import timedelta

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from manatee.api._answers import answer, body_of, documented
from manatee.api._bodies import JsonBody, StrangersBody
from manatee.api._callers import CallerOf, in_scope_for
from manatee.api._context import context_of
from manatee.api._sign_in import address_of
from manatee.errors import AuthenticationError, AuthorizationError, LimitError
from manatee.records import (
    Handover,
    HandoverCode,
    HandoverRequest,
    IssuedToken,
    Record,
    read_record,
)
from manatee.records._base import Name

CODE_LIFE = timedelta(seconds=60)
TOKEN_LIFE = timedelta(hours=8)

router = APIRouter(prefix="/v1")


class _Promised(Record, frozen=True, kw_only=True):
    account: Name
    request: HandoverRequest


@router.post(
    "/tokens/handover",
    responses=documented("The code.", HandoverCode),
    openapi_extra=body_of(HandoverRequest),
)
def promise(request: Request, account: CallerOf, body: JsonBody) -> Response:
    """Promise a program a token for eight hours, for no more than the caller's own is for."""
    in_scope_for(account, "credentials")
    wanted = read_record(body, HandoverRequest, what="request")
    if "credentials" in wanted.scopes or not frozenset(wanted.scopes) <= account.scopes:
        raise AuthorizationError("a program cannot be given a token for that.")
    value = msgspec.json.encode(_Promised(account=account.name, request=wanted)).decode()
    flows = context_of(request).store.flows
    return answer(HandoverCode(code=flows.begin("handover", value, life=CODE_LIFE)))


@router.post(
    "/sign-in/handover",
    responses=documented("A token for eight hours.", IssuedToken, LimitError),
    openapi_extra=body_of(Handover),
)
def exchange(request: Request, body: StrangersBody) -> Response:
    """Exchange the code that the browser brought for the token."""
    context = context_of(request)
    context.store.credentials.attempt(address_of(request))
    given = read_record(body, Handover, what="handover")
    kept = context.store.flows.take("handover", given.code)
    promised = msgspec.json.decode(kept, type=_Promised)
    digest = hashlib.sha256(given.verifier.encode()).digest()
    expected = urlsafe_b64encode(digest).rstrip(b"=")
    if not hmac.compare_digest(expected, promised.request.challenge.encode()):
        raise AuthenticationError("this code was given to another program.", hint="Begin again.")
    made = context.store.accounts.new_token(
        promised.account,
        expires_at=context.clock() + TOKEN_LIFE,
        scopes=frozenset(promised.request.scopes),
        label=promised.request.label,
        by=promised.account,
    )
    return answer(made)
