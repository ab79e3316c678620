"""Passwords by argon2id (RFC 9106)."""

from __future__ import annotations

import threading
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import Type

from manatee.errors import MalformedError

MIN_PASSWORD_LENGTH = 12
"""In characters; there is a second factor beside it."""

_HASHER = PasswordHasher(
    time_cost=3, memory_cost=64 << 10, parallelism=4, hash_len=32, salt_len=16, type=Type.ID
)
"""RFC 9106 section 4, the second recommended choice: 64 MiB, 3 passes, 4 lanes."""

_AT_ONCE = threading.Semaphore(4)
"""Guesses must not use up the memory: others wait."""


@cache
def _nobodys_hash() -> str:
    return _HASHER.hash("the password of nobody")


def check_new_password(name: str, password: str) -> None:
    """Refuse what is guessed first.

    Raises:
        MalformedError: Too short, the account's name, or one character over and over.
    """
    if len(password) < MIN_PASSWORD_LENGTH:
        raise MalformedError(f"a password needs at least {MIN_PASSWORD_LENGTH} characters.")
    if len(set(password)) < 5 or name.lower() in password.lower():
        raise MalformedError(
            "the password must have five different characters and not hold the account's name."
        )


def hash_password(password: str) -> str:
    """Return what is kept of a password: parameters, salt and hash."""
    with _AT_ONCE:
        return _HASHER.hash(password)


def password_matches(password: str, kept: str | None) -> bool:
    """Return whether this is the password; with nothing kept, do the same work and say no."""
    with _AT_ONCE:
        try:
            matches = _HASHER.verify(kept or _nobodys_hash(), password)
        except (VerificationError, InvalidHashError):
            return False
    return matches and kept is not None


def needs_rehash(kept: str) -> bool:
    """Return whether it was hashed with other parameters than those of this release."""
    return _HASHER.check_needs_rehash(kept)
