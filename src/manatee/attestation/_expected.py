"""What the field that evidence lets its maker choose must hold: the binding of one session.

Each kind carries the binding in another form (report data, nonce, extra data, token claim). The
forms are made here, once, so that no verifier hashes on its own.
"""

from __future__ import annotations

import base64
import hmac
from dataclasses import dataclass

from manatee.errors import AttestationError
from manatee.records import evidence_nonce, report_data

REPORT_DATA_BYTES = 64


@dataclass(frozen=True)
class ExpectedBinding:
    """The one value accepted, in each of its forms. Comparisons take constant time.

    Attributes:
        report_data: 64 bytes: SNP, TDX, CCA and simulated reports. Empty: no such form.
        nonce: TPM extra data, Nitro and GPU nonce. Empty: no such form.
        text: Claim of a token. Empty: no such form.
    """

    report_data: bytes
    nonce: bytes
    text: str

    @classmethod
    def of(cls, bound: bytes) -> ExpectedBinding:
        """Return the forms of what `records.binding` gave.

        SHA-512 as report data, SHA-256 as nonce, and base64url of SHA-256 without padding (43
        characters) as text: protocol page, "Key release", step 2.

        Raises:
            AttestationError: `bound` is empty.
        """
        if not bound:
            raise AttestationError("an empty binding binds nothing.")
        short = evidence_nonce(bound)
        return cls(
            report_data=report_data(bound),
            nonce=short,
            text=base64.urlsafe_b64encode(short).rstrip(b"=").decode(),
        )

    @classmethod
    def exactly(cls, raw: bytes) -> ExpectedBinding:
        """Expect raw bytes, as when evidence of others is read: whole fields, nothing padded.

        Args:
            raw: The 64 bytes of report data, the nonce, or the UTF-8 of a token's nonce.

        Raises:
            AttestationError: `raw` is empty or all zero, which is what unused fields hold.
        """
        if not any(raw):
            raise AttestationError("an empty binding binds nothing.")
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            text = ""
        whole = raw if len(raw) == REPORT_DATA_BYTES else b""
        return cls(report_data=whole, nonce=raw, text=text)

    def in_report_data(self, field: bytes) -> bool:
        """Whether a 64-byte report data field holds the binding."""
        return bool(self.report_data) and hmac.compare_digest(self.report_data, field)

    def in_nonce(self, field: bytes) -> bool:
        """Whether a nonce field holds the binding."""
        return bool(self.nonce) and hmac.compare_digest(self.nonce, field)

    def in_text(self, field: str) -> bool:
        """Whether a token's nonce holds the binding."""
        return bool(self.text) and hmac.compare_digest(self.text.encode(), field.encode())
