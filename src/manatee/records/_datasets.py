"""Data sets: what a provider publishes and what a job names by digest."""

from typing import Annotated, Literal

import msgspec

from manatee.records._base import Base64, Count, Name, Record, RelativePath
from manatee.records._digests import Digest, DigestText, digest_record, length_prefixed

Label = Literal["real", "synthetic"]
"""`real`: about people who exist; keys never leave below tier `hardware` unless the broker was
started with a setting whose name says insecure. `synthetic`: made by a generator."""


class FileEntry(Record, frozen=True, kw_only=True):
    """One file of a data set, workspace or output folder."""

    path: RelativePath
    sha256: DigestText
    size: Count


class WrappedKey(Record, frozen=True, kw_only=True):
    """A data key under HPKE to a key broker's public key; useless to anyone else."""

    broker_id: Name
    ciphertext: Base64


class DatasetManifest(Record, frozen=True, kw_only=True):
    """One immutable version of a data set. Its digest is the *data set version*.

    `wrapped_key` is None for a data set that is not sealed (a stage-one twin). The row count is
    not here: it may itself be private.
    """

    format_version: Literal[1] = 1
    name: Name
    provider: Name
    label: Label
    schema_digest: DigestText
    contract_digest: DigestText
    files: Annotated[tuple[FileEntry, ...], msgspec.Meta(min_length=1, max_length=10_000)]
    wrapped_key: WrappedKey | None = None


def dataset_version(manifest: DatasetManifest) -> Digest:
    """Return the digest by which jobs, approvals and grants name this version."""
    return digest_record(manifest)


def wrap_context(manifest: DatasetManifest, broker_id: str) -> bytes:
    """Return the HPKE `info` that ties a wrapped key to its data set version and label.

    Everything but the wrapped key itself is covered, so a key wrapped for a table labelled
    `real` cannot be presented as the key of a `synthetic` one.
    """
    bare = msgspec.structs.replace(manifest, wrapped_key=None)
    return length_prefixed("manatee-wrap/v1", broker_id, digest_record(bare))
