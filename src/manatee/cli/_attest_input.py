"""What `manatee attest` is given: evidence, reference values and endorsements, from files."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from manatee._clock import parse_timestamp
from manatee.attestation import (
    NO_ENDORSEMENTS,
    Endorsements,
    ExpectedBinding,
    ReferenceValues,
    Verifier,
    max_payload_bytes,
    verifiers,
)
from manatee.attestation._expected import REPORT_DATA_BYTES
from manatee.errors import AppraisalRefusedError, InputError, MalformedError
from manatee.records import (
    Evidence,
    parse_json,
    read_record,
    to_base64,
    to_record,
)

_MAX_FILE_BYTES = 1 << 20
NOTHING_EXPECTED = ExpectedBinding(report_data=b"", nonce=b"", text="")
NO_REFERENCE_VALUES = ReferenceValues(runtime_digests=(), roots={})


def read_file(path: Path) -> bytes:
    """Return a file's bytes, 1 MiB at most.

    Raises:
        InputError: It cannot be read, is empty or too large.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}).") from error
    if not data or len(data) > _MAX_FILE_BYTES:
        raise InputError(f"{path} must have 1 to {_MAX_FILE_BYTES} bytes.")
    return data


def read_moment(text: str) -> datetime:
    """Return the moment that `--at` names. Raises InputError."""
    try:
        return parse_timestamp(text)
    except ValueError as error:
        raise InputError("--at must be a time in UTC such as 2026-01-31T12:00:00Z.") from error


def verifier_named(kind: str) -> Verifier:
    """Return the verifier of a kind.

    Raises:
        InputError: There is none; the message lists those there are.
    """
    found = next((item for item in verifiers() if item.kind == kind), None)
    if found is None:
        names = ", ".join(item.kind for item in verifiers())
        raise InputError(f"there is no verifier for this kind; there are: {names}.")
    return found


def read_evidence(path: Path, kind: str) -> Evidence:
    """Read an Evidence record, or with a kind the vendor's raw bytes.

    Raises:
        InputError: The file cannot be read, or the kind is unknown.
        MalformedError: Without a kind, the file is not an Evidence record.
        AppraisalRefusedError: The record is of another kind than the one named.
    """
    data = read_file(path)
    if not kind:
        return _record(parse_json(data), hint="For a vendor's raw bytes name the --kind.")
    verifier = verifier_named(kind)
    if data.lstrip().startswith(b"{") and b'"media_type"' in data and b'"payload"' in data:
        value = parse_json(data)
        if isinstance(value, dict) and {"media_type", "payload"} <= set(value):
            evidence = _record(value, hint="")
            if evidence.media_type != verifier.media_type:
                raise AppraisalRefusedError("[kind] the evidence is of another kind than you say.")
            return evidence
    at_most = max_payload_bytes(verifier.media_type)
    if len(data) > at_most:
        raise MalformedError(f"evidence of this kind has at most {at_most} bytes.")
    raw = data.strip() if "+jwt" in verifier.media_type else data
    return Evidence(media_type=verifier.media_type, payload=to_base64(raw))


def _record(value: object, *, hint: str) -> Evidence:
    try:
        return to_record(value, Evidence, what="evidence")
    except MalformedError as error:
        raise MalformedError(error.message, hint=hint) from error


def read_policy(path: Path) -> ReferenceValues:
    """Read reference values. Raises InputError, MalformedError."""
    return read_record(read_file(path), ReferenceValues, what="reference values")


def read_endorsements(given: Sequence[str], folder: Path | None, kind: str) -> Endorsements:
    """Return endorsements of files and of the collateral folder; files go first.

    Args:
        given: `FILE` with certificates, `crl=FILE`, or `NAME=FILE` for a document.
        folder: Collateral folder, or None.
        kind: Kind of evidence they are for.

    Raises:
        InputError, MalformedError: A file cannot be read.
    """
    from manatee.collateral import Collateral, ItemKind, read_item, read_items

    certificates: list[bytes] = []
    revocations: list[bytes] = []
    documents: dict[str, bytes] = {}
    for argument in given:
        name, separator, file = argument.rpartition("=")
        data = read_file(Path(file))
        if separator and name != "crl":
            documents[name] = data
        elif name == "crl":
            revocations.append(read_item(data, ItemKind.REVOCATION_LIST).data)
        else:
            many = data.count(b"-----BEGIN") > 1
            form = ItemKind.CERTIFICATE_CHAIN if many else ItemKind.CERTIFICATE
            certificates.extend(item.data for item in read_items(data, form))
    found = Endorsements(tuple(certificates), tuple(revocations), documents)
    cached = NO_ENDORSEMENTS
    if folder is not None:
        if not folder.is_dir():
            raise InputError(f"{folder} is not a folder.")
        cached = Collateral.open(folder).endorsements(kind)
    return found.joined(cached)


def expected_binding(
    *, nonce: str, nonce_text: str, report_data: str, binding: str
) -> ExpectedBinding:
    """Return what the evidence must carry.

    Raises:
        InputError: None or several are given, or one is not hexadecimal.
        AttestationError: It is empty or all zero, which is what unused fields hold.
    """
    given = [text for text in (nonce, nonce_text, report_data, binding) if text]
    if len(given) != 1:
        raise InputError(
            "say what the evidence must be bound to: exactly one of --nonce, --nonce-text, "
            "--report-data and --binding.",
            hint="Evidence that is bound to nothing may be anybody's, replayed.",
        )
    if nonce_text:
        return ExpectedBinding.exactly(nonce_text.encode())
    try:
        raw = bytes.fromhex(given[0])
    except ValueError as error:
        raise InputError("the nonce, report data or binding is not hexadecimal.") from error
    if report_data and len(raw) != REPORT_DATA_BYTES:
        raise InputError(f"--report-data must be {REPORT_DATA_BYTES} bytes.")
    return ExpectedBinding.of(raw) if binding else ExpectedBinding.exactly(raw)
