"""Sets the campaign's stage: people, a project, a published data set, and its provider's broker."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import msgspec

from manatee._clock import timestamp
from manatee.attestation import ReferenceValues, SimulatedDevice
from manatee.custody import wrap_data_key
from manatee.keybroker import create_broker, trust_policy_key, write_policy
from manatee.policy import PolicyDocument, TemplateParameters, render_template, sign_policy
from manatee.records import DatasetUse, JobManifest, Tier, digest_record, to_base64
from manatee.sealing import new_data_key
from manatee.testing import ControlPlane
from manatee.testing._control_plane import RUNTIME

from ._place import BROKER_ID, PlaceBackend

PROJECT = "campaign"


class Setting:
    """A control plane's store and a key broker's folder, both filled; nothing runs yet."""

    def __init__(self, folder: Path, database_url: str, blobs_url: str) -> None:
        for name in ("logs", "clocks", "broker"):
            (folder / name).mkdir()
        self.plane = ControlPlane(folder, database_url=database_url, blobs_url=blobs_url)
        now = self.plane.clock()
        # clocks are wrong by an hour in the campaign; the project is open all the same
        self.plane.open_project(name=PROJECT, starts_at=timestamp(now - timedelta(days=1)))
        self._publish(folder / "broker")
        self._write_policy(folder / "broker")

    def _publish(self, broker: Path) -> None:
        custody = create_broker(broker, BROKER_ID)
        publication = self.plane.publication(name="visits")
        bare = msgspec.structs.replace(publication.dataset, wrapped_key=None)
        wrapped = wrap_data_key(new_data_key(), bare, BROKER_ID, custody)
        real = msgspec.structs.replace(bare, wrapped_key=wrapped)
        publication = msgspec.structs.replace(publication, dataset=real)
        self.entry = self.plane.store.datasets.publish(publication)

    def _write_policy(self, broker: Path) -> None:
        now = self.plane.clock()
        approver = to_base64(self.plane.approver.public_key().public_bytes_raw())
        parameters = TemplateParameters(
            project=PROJECT,
            researchers=("alice",),
            minimum_tier=Tier.SIMULATED,
            runtimes=(RUNTIME,),
            output_policies=(self.entry.output_policy_digest,),
            approvals={BROKER_ID: 1},
        )
        document = PolicyDocument(
            provider=BROKER_ID,
            version=1,
            valid_from=timestamp(now - timedelta(days=1)),
            valid_until=timestamp(now + timedelta(days=30)),
            approver_keys={BROKER_ID: (approver,)},
            cedar=render_template("named-researchers", parameters),
        )
        private = self.plane.approver.private_bytes_raw()
        device = SimulatedDevice.open(broker / "device", self.plane.clock)
        references = ReferenceValues(
            runtime_digests=(RUNTIME,), roots={"simulated": (to_base64(device.root()),)}
        )
        trust_policy_key(broker, BROKER_ID, approver)
        write_policy(broker, sign_policy(private, document), references)

    def manifest(self, number: int) -> JobManifest:
        """Return the manifest of the job of that number."""
        return self.plane.manifest(
            project=PROJECT,
            purpose=f"number {number}",
            datasets=(DatasetUse(name="visits", version=self.entry.version),),
            output_policy_digest=self.entry.output_policy_digest,
            backend_kind=PlaceBackend.kind,
        )

    def job_digest(self, number: int) -> str:
        """Return the digest of the job of that number."""
        return digest_record(self.manifest(number))
