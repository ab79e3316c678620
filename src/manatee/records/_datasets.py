"""Data sets: what a provider publishes and what a job names by digest."""

from typing import Annotated, Literal

import msgspec

from manatee.records._base import Base64, Count, Name, Record, RelativePath
from manatee.records._comparison import TwinComparison
from manatee.records._digests import Digest, DigestText, digest_record, length_prefixed

DATA_KEY_BYTES = 32
"""A data set has one 256-bit data key."""

Label = Literal["real", "synthetic"]
"""`real`: about people who exist; keys never leave below tier `hardware` unless the broker was
started with a setting whose name says insecure. `synthetic`: made by a generator."""


class FileEntry(Record, frozen=True, kw_only=True):
    """One file of a data set, workspace or output folder."""

    path: RelativePath
    sha256: DigestText
    size: Count


class WrappedKey(Record, frozen=True, kw_only=True):
    """A data key under a key-encryption key of a broker's custody; useless to anyone else.

    `ciphertext` is what `manatee.custody` made: it names the key it was wrapped under. It may be
    replaced when the broker's key is rotated, so the data set version does not cover it.
    """

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
    comparison: TwinComparison | None = None
    """What a run may measure of the table for a comparison with its twin; None allows nothing."""


def dataset_version(manifest: DatasetManifest) -> Digest:
    """Return the digest by which jobs, approvals and grants name this version.

    It covers everything but the wrapped key's ciphertext: whether the data set is sealed and
    with which broker, yes; under which of the broker's keys, no. So a key is rotated without
    making the data a new version. A ciphertext put in its place opens nothing: `wrap_context`
    ties it to this manifest, and the files it must decrypt are named here by digest.
    """
    if manifest.wrapped_key is None:
        return digest_record(manifest)
    held = msgspec.structs.replace(manifest.wrapped_key, ciphertext="")
    return digest_record(msgspec.structs.replace(manifest, wrapped_key=held))


def wrap_context(manifest: DatasetManifest, broker_id: str) -> bytes:
    """Return the context that ties a wrapped key to its data set version, label and broker.

    Everything but the wrapped key itself is covered, so a key wrapped for a table labelled
    `real` cannot be presented as the key of a `synthetic` one.
    """
    bare = msgspec.structs.replace(manifest, wrapped_key=None)
    return length_prefixed("manatee-wrap/v1", broker_id, digest_record(bare))
