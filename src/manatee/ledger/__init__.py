"""The transparency log: C2SP tiles, signed notes, checkpoints, witnesses; RFC 9162 hashing.

Trusted core: standard library, `cryptography` and our records only.
"""

from manatee.ledger._checkpoint import (
    Checkpoint,
    SignedCheckpoint,
    cosign,
    parse_checkpoint,
    sign_checkpoint,
    verify_checkpoint,
    verify_cosignature,
)
from manatee.ledger._entry_log import EntryLog
from manatee.ledger._files_http import log_app
from manatee.ledger._growth import Growth, parse_growth, verify_growth
from manatee.ledger._hashing import EMPTY_ROOT, leaf_hash, node_hash
from manatee.ledger._ledger import Ledger, LogReader, create_log
from manatee.ledger._log_proof import (
    LoggedEntry,
    LogProof,
    LogTrust,
    parse_log_proof,
    verify_log_proof,
)
from manatee.ledger._monitor import Monitor, Seen
from manatee.ledger._note import (
    COSIGNATURE,
    ED25519,
    Note,
    NoteKey,
    NoteSignature,
    NoteSigner,
    new_signer,
    parse_key,
    parse_note,
    parse_signatures,
    verify_note,
)
from manatee.ledger._proofs import root_of_inclusion, verify_consistency, verify_inclusion
from manatee.ledger._signer_file import signer_in
from manatee.ledger._sources import read_folder, read_source, read_url
from manatee.ledger._tiles import TileTree, bundle_path, tile_path
from manatee.ledger._witness import Witness, WitnessAnswer
from manatee.ledger._witness_client import (
    WitnessAddress,
    collect_cosignatures,
    parse_witnesses,
)
from manatee.ledger._witness_http import witness_app

__all__ = [
    "COSIGNATURE",
    "ED25519",
    "EMPTY_ROOT",
    "Checkpoint",
    "EntryLog",
    "Growth",
    "Ledger",
    "LogProof",
    "LogReader",
    "LogTrust",
    "LoggedEntry",
    "Monitor",
    "Note",
    "NoteKey",
    "NoteSignature",
    "NoteSigner",
    "Seen",
    "SignedCheckpoint",
    "TileTree",
    "Witness",
    "WitnessAddress",
    "WitnessAnswer",
    "bundle_path",
    "collect_cosignatures",
    "cosign",
    "create_log",
    "leaf_hash",
    "log_app",
    "new_signer",
    "node_hash",
    "parse_checkpoint",
    "parse_growth",
    "parse_key",
    "parse_log_proof",
    "parse_note",
    "parse_signatures",
    "parse_witnesses",
    "read_folder",
    "read_source",
    "read_url",
    "root_of_inclusion",
    "sign_checkpoint",
    "signer_in",
    "tile_path",
    "verify_checkpoint",
    "verify_consistency",
    "verify_cosignature",
    "verify_growth",
    "verify_inclusion",
    "verify_log_proof",
    "verify_note",
    "witness_app",
]
