"""What vendors state about their devices, beside the evidence: certificates and collateral.

Almost all of it is signed by somebody and none of that is believed for being here: it may come from
the guest, from a cache or from the network. Bare keys are signed by nobody. They are believed for
where they came from, which is therefore never the guest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from manatee.errors import MalformedError
from manatee.records import Endorsement, unbase64

CERTIFICATE = "certificate"
"""Name of an endorsement that is one certificate, DER."""

REVOCATION = "crl"
"""Name of an endorsement that is one certificate revocation list, DER."""

BARE_KEYS = ("jwks/", "cca-cpak/")
"""Prefixes of documents that nobody signs: only the relying party may bring them."""

MAX_ENDORSEMENTS = 64
MAX_ENDORSEMENT_BYTES = 1 << 20


@dataclass(frozen=True)
class Endorsements:
    """Certificates, revocation lists and named documents.

    Attributes:
        certificates: DER, in the order given.
        revocations: Certificate revocation lists, DER.
        documents: Name to exact bytes. Names in use: `intel-tdx/<fmspc>` (collateral as one JSON
            object in the form of Intel's `QuoteCollateralV3`), `jwks/<issuer>`, `rim/<id>`,
            `ocsp/<SHA-256 of the certificate>`, `cca-cpak/<name>`.
    """

    certificates: tuple[bytes, ...] = ()
    revocations: tuple[bytes, ...] = ()
    documents: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}))

    def joined(self, other: Endorsements) -> Endorsements:
        """Return both; on a name in both, this one's document stands."""
        return Endorsements(
            certificates=(*self.certificates, *other.certificates),
            revocations=(*self.revocations, *other.revocations),
            documents={**other.documents, **self.documents},
        )


NO_ENDORSEMENTS = Endorsements()


def endorsements_of(items: tuple[Endorsement, ...]) -> Endorsements:
    """Return what came with a piece of evidence.

    Raises:
        MalformedError: One is too large, not base64, a name stands twice, or one holds bare keys:
            whoever made the evidence would choose who vouches for it.
    """
    certificates: list[bytes] = []
    revocations: list[bytes] = []
    documents: dict[str, bytes] = {}
    if len(items) > MAX_ENDORSEMENTS:
        raise MalformedError(f"at most {MAX_ENDORSEMENTS} endorsements are read.")
    for item in items:
        if len(item.payload) > MAX_ENDORSEMENT_BYTES * 4 // 3 + 4:
            raise MalformedError(f"an endorsement has over {MAX_ENDORSEMENT_BYTES} bytes.")
        if item.name.startswith(BARE_KEYS):
            raise MalformedError(
                "evidence comes with keys that nobody signed.",
                hint="Keys come from the relying party's own collateral alone.",
            )
        data = unbase64(item.payload)
        if item.name == CERTIFICATE:
            certificates.append(data)
        elif item.name == REVOCATION:
            revocations.append(data)
        elif item.name in documents:
            raise MalformedError("two endorsements have one name.")
        else:
            documents[item.name] = data
    return Endorsements(tuple(certificates), tuple(revocations), documents)
