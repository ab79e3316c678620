"""How people prove who they are: pure logic, and the talk with an identity provider.

Who may do what is none of its business: that comes from memberships alone.
"""

from manatee.identity._hub import Hub, HubUser
from manatee.identity._id_tokens import ALGORITHMS, subject_of
from manatee.identity._passkeys import (
    CHALLENGE_SECONDS,
    Passkey,
    authenticated,
    authentication_options,
    credential_id,
    new_challenge,
    passkey_refused,
    registered,
    registration_options,
)
from manatee.identity._passwords import (
    MIN_PASSWORD_LENGTH,
    check_new_password,
    hash_password,
    needs_rehash,
    password_matches,
)
from manatee.identity._provider import Asked, Device, NotYet, Provider, is_local
from manatee.identity._rates import Rate, next_free
from manatee.identity._totp import new_recovery_codes, new_totp_secret, totp_qr, totp_step, totp_uri

__all__ = [
    "ALGORITHMS",
    "CHALLENGE_SECONDS",
    "MIN_PASSWORD_LENGTH",
    "Asked",
    "Device",
    "Hub",
    "HubUser",
    "NotYet",
    "Passkey",
    "Provider",
    "Rate",
    "authenticated",
    "authentication_options",
    "check_new_password",
    "credential_id",
    "hash_password",
    "is_local",
    "needs_rehash",
    "new_challenge",
    "new_recovery_codes",
    "new_totp_secret",
    "next_free",
    "passkey_refused",
    "password_matches",
    "registered",
    "registration_options",
    "subject_of",
    "totp_qr",
    "totp_step",
    "totp_uri",
]
