"""A person's own API tokens."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from manatee._clock import parse_timestamp
from manatee.api._answers import answer, body_of, documented
from manatee.api._bodies import JsonBody
from manatee.api._callers import CallerOf, in_scope_for
from manatee.api._context import context_of
from manatee.errors import AuthorizationError, MalformedError, NotFoundError
from manatee.records import IssuedToken, NewToken, TokenList, read_record

TokenId = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$")]

router = APIRouter(prefix="/v1/tokens")


@router.get("", responses=documented("The tokens.", TokenList))
def list_tokens(request: Request, account: CallerOf) -> Response:
    """List one's tokens that have not expired, without the tokens themselves."""
    return answer(TokenList(tokens=context_of(request).store.accounts.tokens(account.name)))


@router.post(
    "",
    status_code=201,
    responses=documented("The token.", IssuedToken, status=201),
    openapi_extra=body_of(NewToken),
)
def new_token(request: Request, account: CallerOf, body: JsonBody) -> Response:
    """Make a token, for no more than the caller's own is for, and never for making tokens."""
    in_scope_for(account, "credentials")
    wanted = read_record(body, NewToken, what="new token")
    scopes = frozenset(wanted.scopes)
    if "credentials" in scopes:
        raise AuthorizationError(
            "a token cannot be made for making tokens.", hint="Sign in to have one for a day."
        )
    if not scopes <= account.scopes:
        raise AuthorizationError("a token cannot make one that may do more than itself.")
    try:
        expires_at = parse_timestamp(wanted.expires_at)
    except ValueError as error:
        raise MalformedError("expires_at is no time.") from error
    made = context_of(request).store.accounts.new_token(
        account.name, expires_at=expires_at, scopes=scopes, label=wanted.label, by=account.name
    )
    return answer(made, 201)


@router.delete(
    "/{token_id}",
    status_code=204,
    response_class=Response,
    responses=documented("It is worthless now.", None, NotFoundError, status=204),
)
def revoke_token(request: Request, token_id: TokenId, account: CallerOf) -> Response:
    """Make one of one's tokens worthless at once; any token may do that, also to itself."""
    context_of(request).store.accounts.revoke_token(account.name, token_id, by=account.name)
    return Response(status_code=204)
