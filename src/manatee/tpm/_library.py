"""The TPM software stack, imported late: guests and auditors do without it."""

from __future__ import annotations

from typing import Any

from manatee.errors import AttestationError


def tss() -> Any:
    """Return the `tpm2_pytss` module.

    Raises:
        AttestationError: It is not installed.
    """
    try:
        import tpm2_pytss
        import tpm2_pytss.utils
    except ImportError as error:
        raise AttestationError(
            "a TPM is used through tpm2-pytss, which is not installed.",
            hint="apt-get install libtss2-dev; pip install 'manatee[tpm]'",
        ) from error
    return tpm2_pytss
