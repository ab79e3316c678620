"""Private tables: read from files or databases, held to their contract, streamed."""

from __future__ import annotations

from manatee.provisioning.tables._in_place import (
    CountedTable,
    TableInPlace,
    is_in_place,
    open_in_place,
    table_in_place,
)
from manatee.provisioning.tables._postgresql import connect
from manatee.provisioning.tables._readers import BATCH_ROWS
from manatee.provisioning.tables._source import (
    AdmittedTable,
    Source,
    open_source,
    typed_batch,
    write_parquet,
)

__all__ = [
    "BATCH_ROWS",
    "AdmittedTable",
    "CountedTable",
    "Source",
    "TableInPlace",
    "connect",
    "is_in_place",
    "open_in_place",
    "open_source",
    "table_in_place",
    "typed_batch",
    "write_parquet",
]
