"""Several data providers with a broker each, and one job that uses data of all of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from manatee.attestation import ReferenceValues, TpmReference
from manatee.keybroker import KeyBroker
from manatee.policy import VerifiedPolicy
from manatee.records import (
    Evidence,
    Purpose,
    ReleaseAnswer,
    ReleaseRequest,
    SignedApproval,
    Tier,
    canonical_json,
    evidence_nonce,
    to_base64,
    unbase64,
)
from manatee.sealing import new_session_keys
from manatee.testing._forge import Asked, Installation

Quote = Callable[[bytes], Evidence]
"""Takes a nonce of 32 bytes, returns a TPM's quote over it."""


class Providers:
    """Providers who know nothing of one another: keys, policies and brokers are each one's own.

    Effects: making one writes below `folder`.
    """

    def __init__(self, folder: Path, names: tuple[str, ...], *, root: bytes, clock: Any) -> None:
        """Set up.

        Args:
            folder: Where.
            names: Of the providers.
            root: Authority of the software TPMs that their brokers pin, DER.
            clock: Of all of them.
        """
        self._root = to_base64(root)
        self.places = []
        for name in names:
            (folder / name).mkdir(parents=True)
            place = Installation(
                folder / name, clock=clock, provider=name, broker_id=f"{name}-broker"
            )
            place.dataset = place.make_dataset(f"data-of-{name}")
            self.places.append(place)
        uses = tuple(place.use(place.dataset) for place in self.places)
        manifest = msgspec.structs.replace(
            self.places[0].manifest, datasets=uses, backend_kind="sandbox-tpm"
        )
        for place in self.places:
            place.manifest = manifest

    @property
    def job_digest(self) -> str:
        """The one job."""
        return self.places[0].job_digest

    @property
    def approvals(self) -> tuple[SignedApproval, ...]:
        """Every provider's approval of it."""
        return tuple(place.approval() for place in self.places)

    def policy(self, place: Installation, **members: Any) -> VerifiedPolicy:
        """Return one provider's policy; by default it takes software TPMs."""
        return place.policy(**({"minimum_tier": Tier.SOFTWARE_TPM} | members))

    def broker(self, place: Installation, **members: Any) -> KeyBroker:
        """Start one provider's broker, with some parameters of its policy set otherwise."""
        references = ReferenceValues(
            runtime_digests=(place.runtime_digest,),
            roots={"software-tpm": (self._root,)},
            tpm=TpmReference(),
        )
        return place.broker(
            policy=self.policy(place, **members),
            reference_values=references,
            insecure_settings=(),
        )

    def ask(
        self,
        place: Installation,
        broker: KeyBroker,
        quote: Quote,
        *,
        purpose: Purpose = "key-release",
        **members: Any,
    ) -> Asked:
        """Make a release request of the guest, some members of it set otherwise."""
        body = canonical_json({"kind": "tpm2", "job_digest": self.job_digest})
        nonce = unbase64(broker.challenge(body).nonce)
        private, public = new_session_keys()
        bound = place.bound(nonce, public, purpose=purpose)
        request = ReleaseRequest(
            nonce=to_base64(nonce),
            job_digest=self.job_digest,
            attempt=1,
            session_key=to_base64(public),
            evidence=(quote(evidence_nonce(bound)),),
            manifest=place.manifest,
            datasets=(place.dataset,),
            approvals=self.approvals,
        )
        return Asked(msgspec.structs.replace(request, **members), private)

    @staticmethod
    def release(broker: KeyBroker, asked: Asked) -> ReleaseAnswer:
        """Send a request."""
        return broker.release(asked.body())
