"""The second factor: codes of an authenticator app (RFC 6238), and codes for its loss."""

from __future__ import annotations

import hmac
import secrets
from datetime import datetime

import pyotp
import segno

STEP_SECONDS = 30
DRIFT_STEPS = 1
"""How far the app's clock may be off, in steps, either way."""

RECOVERY_CODES = 10
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # none that is mistaken for another


def new_totp_secret() -> str:
    """Return a fresh secret of 160 bits, in base32."""
    return pyotp.random_base32()


def totp_qr(uri: str) -> str:
    """Return an authenticator app's URI as a QR code: an SVG in a `data:` URL."""
    return str(segno.make(uri, error="m", micro=False).svg_data_uri(scale=4, border=2))


def totp_uri(secret: str, account: str) -> str:
    """Return what an authenticator app reads, as text or as a QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=account, issuer_name="ManaTEE")


def totp_step(secret: str, code: str, now: datetime, *, used: int) -> int | None:
    """Return the step of time whose code this is, None if of none that counts.

    Args:
        secret: In base32.
        code: Six digits.
        now: The present moment.
        used: Codes of this step and of earlier ones were used, and are refused.
    """
    totp = pyotp.TOTP(secret, interval=STEP_SECONDS)
    present = int(now.timestamp()) // STEP_SECONDS
    found = None
    for step in range(present - DRIFT_STEPS, present + DRIFT_STEPS + 1):
        expected = totp.generate_otp(step)
        if hmac.compare_digest(expected.encode(), code.encode()) and step > used:
            found = step
    return found


def new_recovery_codes() -> tuple[str, ...]:
    """Return fresh codes of 79 bits each."""
    return tuple(
        "-".join("".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(4))
        for _ in range(RECOVERY_CODES)
    )
