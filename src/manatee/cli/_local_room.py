"""A whole clean room on one machine, for the demo, tests and benchmarks: everyone's keys at once.

Real parties keep these apart; `manatee account`, `keybroker init`, `new-approver-key` and
`new-identity` make the same things one by one. Evidence is simulated, so the embedded key broker
is started with settings whose names say insecure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import msgspec

from manatee._clock import system_clock, timestamp
from manatee.attestation import ReferenceValues, TpmReference
from manatee.bundle import TrustAnchors, write_trust
from manatee.cli._accounts import add_account, trust_approver
from manatee.cli._people import Identity, new_approver_key, new_researcher_identity
from manatee.cli._projects import agree_together, plain_project
from manatee.cli._services import run_log
from manatee.cli._tee import Tee, tee_named
from manatee.client import ManateeClient
from manatee.custody import KeyCustody
from manatee.keybroker import (
    create_broker,
    decision_log_signer,
    trust_policy_key,
    write_policy,
)
from manatee.ledger import LogTrust
from manatee.outputs import DEFAULT_POLICY
from manatee.policy import PolicyDocument, TemplateParameters, render_template, sign_policy
from manatee.records import Label, OutputPolicy, ProjectAnswer, Tier, digest_record, to_base64
from manatee.settings import Settings

PROVIDER = "insurer"
RESEARCHER = "researcher"
BROKER = "insurer-broker"
PROJECT = "charges"
PURPOSE = "How well do age, weight and smoking explain charges?"
TOKEN_LIFE = timedelta(days=1)


@dataclass(frozen=True)
class LocalRoom:
    """Where everything of a local clean room lies, and the secrets of its people."""

    folder: Path
    settings: Settings
    provider_token: str
    researcher_token: str
    approver_key: Path
    identity: Identity
    broker_custody: KeyCustody

    @property
    def trust(self) -> Path:
        """The trust file for this room's run bundles."""
        return self.folder / "trust.json"

    def agree(self, url: str, datasets: Sequence[str]) -> ProjectAnswer:
        """Let provider and researcher agree on the project in which everything happens here."""
        project = plain_project(
            PROJECT, PURPOSE, {PROVIDER: 1, RESEARCHER: 0}, datasets, TOKEN_LIFE
        )
        with (
            ManateeClient(url, self.provider_token) as provider,
            ManateeClient(url, self.researcher_token) as researcher,
        ):
            return agree_together(project, provider, {RESEARCHER: researcher})


def make_local_room(
    folder: Path,
    *,
    runtime: Path,
    runtime_digest: str,
    label: Label,
    tee: Tee | None = None,
    witness: str = "",
    output_policy: OutputPolicy = DEFAULT_POLICY,
) -> LocalRoom:
    """Set up accounts, keys, the key broker with its policy, and a trust file.

    Args:
        folder: Where; must not hold a room yet.
        runtime: The runtime's folder.
        runtime_digest: Its measurement: the only one the broker will release keys to.
        label: Of the data; `real` needs an insecure setting, since the tier is below hardware.
        tee: The guests' device; None: the simulated one.
        output_policy: The one that the broker releases keys under.
        witness: Verifier key of a witness that must have cosigned the log of runs; "": none must.
    """
    tee = tee or tee_named("simulated")
    home = folder / "home"
    settings = Settings(
        home=home,
        port=0,
        runtime=runtime,
        tee=tee.name,
        insecure_accept_simulated_evidence=tee.tier is Tier.SIMULATED,
        insecure_release_real_data_below_hardware=label == "real",
    )
    provider_token = add_account(
        home, PROVIDER, ("data_provider", "output_reviewer"), life=TOKEN_LIFE
    )
    researcher_token = add_account(home, RESEARCHER, ("researcher",), life=TOKEN_LIFE)
    approver = new_approver_key(folder / "provider" / "approver.json")
    trust_approver(home, PROVIDER, approver.public_key)
    identity = new_researcher_identity(folder / "researcher" / "identity.json")

    references = ReferenceValues(
        runtime_digests=(runtime_digest,),
        roots={tee.roots: (to_base64(tee.root(home)),)},
        tpm=TpmReference() if tee.evidence_kind == "tpm2" else None,
    )
    broker_custody = create_broker(home / "keybroker", BROKER)
    now = system_clock()
    policy_key = new_approver_key(folder / "provider" / "policy-key.json")
    trust_policy_key(home / "keybroker", PROVIDER, policy_key.public_key)
    document = PolicyDocument(
        provider=PROVIDER,
        version=1,
        valid_from=timestamp(now - timedelta(minutes=1)),
        valid_until=timestamp(now + TOKEN_LIFE),
        approver_keys={PROVIDER: (approver.public_key,)},
        cedar=render_template(
            "named-researchers",
            TemplateParameters(
                project=PROJECT,
                researchers=(RESEARCHER,),
                minimum_tier=tee.tier,
                runtimes=(runtime_digest,),
                output_policies=(digest_record(output_policy),),
                approvals={PROVIDER: 1},
            ),
        ),
    )
    write_policy(home / "keybroker", sign_policy(policy_key.raw, document), references)
    broker_log = decision_log_signer(home / "keybroker", BROKER)
    anchors = TrustAnchors(
        minimum_tier=tee.tier,
        reference_values=references,
        approvers={PROVIDER: (approver.public_key,)},
        run_log=msgspec.structs.replace(
            run_log(home).trust(),
            witnesses=(witness,) if witness else (),
            quorum=1 if witness else 0,
        ),
        broker_logs={
            BROKER: LogTrust(origin=broker_log.name, log_key=str(broker_log.key)),
        },
    )
    write_trust(folder / "trust.json", anchors)
    return LocalRoom(
        folder=folder,
        settings=settings,
        provider_token=provider_token,
        researcher_token=researcher_token,
        approver_key=folder / "provider" / "approver.json",
        identity=identity,
        broker_custody=broker_custody,
    )
