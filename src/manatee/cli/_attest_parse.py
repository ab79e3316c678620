"""The fields of evidence, read without checking any signature, for `manatee attest inspect`."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from manatee.attestation import verifier_of
from manatee.records import Evidence, unbase64

_PARSERS: dict[str, tuple[str, str]] = {
    "amd-sev-snp": ("manatee.attestation._snp.report", "parse_report"),
    "intel-tdx": ("manatee.attestation._tdx.quote", "parse_quote"),
}
"""Kind to the function of one argument that reads its bytes strictly."""


def parse_evidence(evidence: Evidence) -> object:
    """Return the fields of evidence, or None for a kind that is shown through its claims alone.

    Raises:
        AppraisalRefusedError: No verifier knows its media type.
        MalformedError: The bytes are not evidence of that kind.
    """
    kind = verifier_of(evidence).kind
    data = unbase64(evidence.payload)
    if kind not in _PARSERS:
        return None
    module, name = _PARSERS[kind]
    parse: Callable[[bytes], object] = getattr(import_module(module), name)
    found = parse(data)
    return found[0] if isinstance(found, tuple) else found
