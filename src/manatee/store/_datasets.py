"""The catalogue: what providers have published."""

from __future__ import annotations

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from manatee._clock import Clock, timestamp
from manatee.errors import ConflictError, UnknownDatasetError
from manatee.records import (
    LOCAL_OPERATOR,
    CatalogueEntry,
    DatasetPublication,
    canonical_json,
    dataset_version,
    digest_bytes,
    digest_record,
    read_record,
)
from manatee.store._audit import record
from manatee.store._database import Database
from manatee.store._schema import DatasetRow

_MAX_PUBLICATION_BYTES = 16 << 20


def _entry(row: DatasetRow) -> CatalogueEntry:
    publication = read_record(
        row.publication.encode(),
        DatasetPublication,
        what="stored publication",
        max_bytes=_MAX_PUBLICATION_BYTES,
    )
    return CatalogueEntry(
        publication=publication,
        version=row.version,
        twin_version=row.twin_version,
        output_policy_digest=row.output_policy_digest,
        published_at=row.published_at,
    )


class Datasets:
    """Published data set versions, newest first; of one, only the wrapped key may change."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def publish(
        self, publication: DatasetPublication, *, by: str = LOCAL_OPERATOR
    ) -> CatalogueEntry:
        """Publish a version. Publishing exactly the same again changes nothing.

        A version whose data key was wrapped anew (a rotation of the broker's key) is kept with the
        new wrapped key; its number, date and place in the catalogue stay.

        The caller has checked that the publication is the provider's own and that its blobs are
        present.

        Raises:
            ConflictError: The name is another provider's, or the version was published with other
                details.
        """
        version = dataset_version(publication.dataset)
        text = canonical_json(publication).decode()
        name, provider = publication.dataset.name, publication.dataset.provider
        with self._database.write() as session:
            holder = session.scalars(
                select(DatasetRow.provider).where(DatasetRow.name == name).limit(1)
            ).one_or_none()
            if holder not in (None, provider):
                raise ConflictError(f"the data set name {name!r} is taken by another provider.")
            row = session.scalars(
                select(DatasetRow).where(DatasetRow.version == version)
            ).one_or_none()
            if row is None:
                row = DatasetRow(
                    name=name,
                    provider=provider,
                    version=version,
                    twin_version=dataset_version(publication.twin),
                    output_policy_digest=digest_record(publication.output_policy),
                    publication=text,
                    published_at=timestamp(self._clock()),
                )
                session.add(row)
                self._record(session, by, publication, text)
            elif row.publication != text:
                # of one version, data sets differ in the wrapped key's ciphertext at most
                rewrapped = msgspec.structs.replace(
                    _entry(row).publication, dataset=publication.dataset
                )
                if rewrapped != publication:
                    raise ConflictError(
                        "this version was published before with another twin, policy or broker.",
                        hint="Seal the table again; that makes a new version.",
                    )
                row.publication = text
                self._record(session, by, publication, text)
            return _entry(row)

    def _record(
        self, session: Session, by: str, publication: DatasetPublication, text: str
    ) -> None:
        record(
            session,
            timestamp(self._clock()),
            by,
            "dataset-published",
            outcome=dataset_version(publication.dataset),
            organisation=publication.dataset.provider,
            datasets=[publication.dataset.name],
            digest=digest_bytes(text.encode()),
        )

    def latest(self) -> list[CatalogueEntry]:
        """Return the newest version of every data set, by name."""
        newest: dict[str, DatasetRow] = {}
        with self._database.read() as session:
            for row in session.scalars(select(DatasetRow).order_by(DatasetRow.number)):
                newest[row.name] = row
            return [_entry(newest[name]) for name in sorted(newest)]

    def get(self, name: str, version: str | None = None) -> CatalogueEntry:
        """Return one version, or the newest.

        Raises:
            UnknownDatasetError: No such data set or version.
        """
        wanted = select(DatasetRow).where(DatasetRow.name == name)
        if version is not None:
            wanted = wanted.where(DatasetRow.version == version)
        with self._database.read() as session:
            row = session.scalars(wanted.order_by(DatasetRow.number.desc()).limit(1)).one_or_none()
            if row is None:
                what = "" if version is None else " in the version asked for"
                raise UnknownDatasetError(
                    f"there is no data set {name!r}{what}.", hint="See the catalogue for names."
                )
            return _entry(row)
