"""Tables of what people prove who they are with. No secret in here signs anybody in alone."""

from sqlalchemy import BigInteger, ForeignKey, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from manatee.store._base import Base


class PasswordRow(Base):
    """A password and the second factor that goes with it."""

    __tablename__ = "passwords"
    account: Mapped[str] = mapped_column(ForeignKey("accounts.name"), primary_key=True)
    password_hash: Mapped[str]
    totp_secret: Mapped[str]
    """Base32. Whoever reads it still lacks the password."""
    last_totp_step: Mapped[int]
    """Codes of this step of time and of earlier ones were used."""


class RecoveryCodeRow(Base):
    """A code for when the authenticator app is lost, by its SHA-256; gone once used."""

    __tablename__ = "recovery_codes"
    account: Mapped[str] = mapped_column(ForeignKey("accounts.name"), primary_key=True)
    digest: Mapped[str] = mapped_column(primary_key=True)


class InvitationRow(Base):
    """A code by which somebody may set up an account's sign-in, by its SHA-256."""

    __tablename__ = "invitations"
    account: Mapped[str] = mapped_column(ForeignKey("accounts.name"), primary_key=True)
    digest: Mapped[str]
    expires_at: Mapped[float]


class PasskeyRow(Base):
    """The public half of a passkey."""

    __tablename__ = "passkeys"
    id: Mapped[str] = mapped_column(primary_key=True)
    """The credential's id in base64url."""
    account: Mapped[str] = mapped_column(ForeignKey("accounts.name"), index=True)
    public_key: Mapped[bytes] = mapped_column(LargeBinary)
    sign_count: Mapped[int] = mapped_column(BigInteger)
    """32 bits without a sign."""
    label: Mapped[str]
    created_at: Mapped[float]


class LinkRow(Base):
    """Whose account a subject of an identity provider is."""

    __tablename__ = "identity_links"
    issuer: Mapped[str] = mapped_column(primary_key=True)
    subject: Mapped[str] = mapped_column(primary_key=True)
    account: Mapped[str] = mapped_column(ForeignKey("accounts.name"), index=True)


class FlowRow(Base):
    """A sign-in or registration under way, by the SHA-256 of its handle; gone once finished."""

    __tablename__ = "sign_in_flows"
    digest: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    account: Mapped[str | None] = mapped_column(ForeignKey("accounts.name"))
    """Who registers; None for a sign-in, of which nobody knows yet whose it is."""
    value: Mapped[str]
    """JSON of what was asked: challenge, state, nonce, verifier."""
    expires_at: Mapped[float] = mapped_column(index=True)


class RateRow(Base):
    """How much of a rate of attempts is used up: free again at `free_at`."""

    __tablename__ = "sign_in_rates"
    digest: Mapped[str] = mapped_column(primary_key=True)
    """SHA-256 of what is counted: neither names nor addresses are kept."""
    free_at: Mapped[float] = mapped_column(index=True)


class KnownAddressRow(Base):
    """An address from which an account was signed in to, by the SHA-256 of both."""

    __tablename__ = "known_addresses"
    digest: Mapped[str] = mapped_column(primary_key=True)
    account: Mapped[str] = mapped_column(ForeignKey("accounts.name"), index=True)
    seen_at: Mapped[float]
