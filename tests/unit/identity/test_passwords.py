"""The parameters of password hashes, as they are in use."""

from __future__ import annotations

from manatee.identity import hash_password, needs_rehash, password_matches


def test_passwords_are_hashed_by_argon2id_as_rfc_9106_recommends() -> None:
    kept = hash_password("seven red boats")
    assert kept.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert not needs_rehash(kept)
    assert password_matches("seven red boats", kept)
    assert not password_matches("seven red boat", kept)


def test_nothing_is_the_password_where_none_is_kept() -> None:
    assert not password_matches("the password of nobody", None)
    assert not password_matches("", "not a hash")
