"""The run bundle: one folder that proves, offline, what ran on which data and what came out."""

from manatee.bundle._crate import crate_payload, export_crate
from manatee.bundle._folder import BundleContents, read_bundle, write_bundle
from manatee.bundle._log import run_entry, verify_decision
from manatee.bundle._notebook import same_code
from manatee.bundle._statement import (
    MAX_ENVELOPE_BYTES,
    PAYLOAD_TYPE,
    PREDICATE_TYPE,
    STATEMENT_TYPE,
    Statement,
    make_statement,
    pre_authentication_encoding,
    read_statement,
    sign_statement,
    verify_signature,
)
from manatee.bundle._trust import NOTHING_TRUSTED, TrustAnchors, read_trust, write_trust
from manatee.bundle._verify import Verification, verify_bundle

__all__ = [
    "MAX_ENVELOPE_BYTES",
    "NOTHING_TRUSTED",
    "PAYLOAD_TYPE",
    "PREDICATE_TYPE",
    "STATEMENT_TYPE",
    "BundleContents",
    "Statement",
    "TrustAnchors",
    "Verification",
    "crate_payload",
    "export_crate",
    "make_statement",
    "pre_authentication_encoding",
    "read_bundle",
    "read_statement",
    "read_trust",
    "run_entry",
    "same_code",
    "sign_statement",
    "verify_bundle",
    "verify_decision",
    "verify_signature",
    "write_bundle",
    "write_trust",
]
