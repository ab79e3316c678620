"""The files of the person at whose machine the console runs."""

from __future__ import annotations

from dataclasses import dataclass

from manatee.bundle import NOTHING_TRUSTED, TrustAnchors
from manatee.ledger import LogTrust


@dataclass(frozen=True)
class OwnKeys:
    """Secrets of one person; a console for several has none.

    Attributes:
        approver: Raw Ed25519 key that signs approvals, 32 bytes; None: approve by command.
        approver_name: Name that approvals carry.
        identity: age identity that opens outputs; "": outputs cannot be opened here.
        trust: Whom this person trusts; with nothing trusted no run is verified.
        audit_trust: The audit log that is believed; None: no event is proved.
        start_code: One-time code of the printed address; "" for none.
        token: Signs the holder of `start_code` in.
    """

    approver: bytes | None = None
    approver_name: str = ""
    identity: str = ""
    trust: TrustAnchors = NOTHING_TRUSTED
    audit_trust: LogTrust | None = None
    start_code: str = ""
    token: str = ""
