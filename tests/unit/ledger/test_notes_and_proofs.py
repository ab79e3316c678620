"""Notes, checkpoints, cosignatures and log proofs: strict, and every signature counts."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from manatee.errors import LedgerError, MalformedError, ManateeError
from manatee.ledger import (
    COSIGNATURE,
    ED25519,
    Ledger,
    LogTrust,
    cosign,
    create_log,
    leaf_hash,
    new_signer,
    parse_checkpoint,
    parse_key,
    parse_log_proof,
    parse_note,
    verify_inclusion,
    verify_log_proof,
    verify_note,
)

VECTORS = Path(__file__).parents[2] / "vectors" / "supply-chain"
LOG = new_signer("example.org/log", ED25519)
WITNESSES = [new_signer(f"witness{number}.example", COSIGNATURE) for number in (1, 2)]
NOW = 1_780_000_000


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    folder = tmp_path_factory.mktemp("log")
    create_log(folder, LOG)
    with Ledger.open(folder, LOG) as opened:
        opened.append([b"entry %d" % number for number in range(11)])
        signed = opened.checkpoint()
        opened.add_cosignatures(tuple(cosign(signed, key, moment=NOW) for key in WITNESSES))
        yield opened


def trust(**members: object) -> LogTrust:
    plain = LogTrust(
        origin=LOG.name,
        log_key=str(LOG.key),
        witnesses=tuple(str(item.key) for item in WITNESSES),
        quorum=2,
    )
    return msgspec.structs.replace(plain, **members)


def test_a_proof_shows_where_an_entry_stands_and_who_saw_it(ledger: Ledger) -> None:
    found = verify_log_proof(ledger.proof(7), b"entry 7", trust())
    assert (found.index, found.tree_size) == (7, 11)
    assert found.cosigners == tuple((item.name, NOW) for item in WITNESSES)


def test_cve_2022_36056_a_proof_of_another_entry_is_refused(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="root"):
        verify_log_proof(ledger.proof(7), b"entry 8", trust())


def test_a_log_of_another_origin_or_key_is_refused(ledger: Ledger) -> None:
    proof = ledger.proof(0)
    with pytest.raises(LedgerError, match="another log"):
        verify_log_proof(proof, b"entry 0", trust(origin="example.org/other"))
    other = new_signer(LOG.name, ED25519)
    with pytest.raises(LedgerError, match="no signature"):
        verify_log_proof(proof, b"entry 0", trust(log_key=str(other.key)))


def test_a_witness_key_cannot_stand_in_for_the_log(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="type 1"):
        verify_log_proof(ledger.proof(0), b"entry 0", trust(log_key=str(WITNESSES[0].key)))


def test_too_few_witnesses_are_refused(ledger: Ledger) -> None:
    stranger = new_signer("witness3.example", COSIGNATURE)
    keys = (str(WITNESSES[0].key), str(stranger.key))
    with pytest.raises(LedgerError, match="1 trusted witness"):
        verify_log_proof(ledger.proof(0), b"entry 0", trust(witnesses=keys))


@pytest.mark.parametrize(
    "members",
    [
        {"quorum": 3},
        {"quorum": -1},
        {"witnesses": (str(WITNESSES[0].key),) * 2},
        {"witnesses": (str(LOG.key), str(WITNESSES[0].key))},
        {"log_key": "nonsense"},
    ],
)
def test_trust_that_cannot_be_meant_is_refused(ledger: Ledger, members: dict[str, object]) -> None:
    with pytest.raises(MalformedError):
        verify_log_proof(ledger.proof(0), b"entry 0", trust(**members))


def test_every_flipped_bit_of_a_proof_is_refused(ledger: Ledger) -> None:
    proof = ledger.proof(7)
    for place in range(len(proof)):
        for bit in (0, 5):
            broken = bytearray(proof)
            broken[place] ^= 1 << bit
            with pytest.raises(ManateeError):
                verify_log_proof(bytes(broken), b"entry 7", trust())


@pytest.mark.parametrize("cut", [0, 1, 40, -1])
def test_a_cut_or_longer_proof_is_refused(ledger: Ledger, cut: int) -> None:
    proof = ledger.proof(7)
    for broken in (proof[:cut], proof + b"\x00", proof + b"A", proof + b"\n"):
        with pytest.raises(ManateeError):
            verify_log_proof(broken, b"entry 7", trust())


@pytest.mark.parametrize(
    "change", [("index 7", "index 6"), ("index 7", "index 8"), ("\n11\n", "\n12\n")]
)
def test_an_index_or_size_off_by_one_is_refused(ledger: Ledger, change: tuple[str, str]) -> None:
    broken = ledger.proof(7).decode().replace(*change).encode()
    with pytest.raises(LedgerError):
        verify_log_proof(broken, b"entry 7", trust())


def test_a_sibling_dropped_or_added_is_refused(ledger: Ledger) -> None:
    lines = ledger.proof(7).decode().split("\n")
    for broken in (lines[:2] + lines[3:], lines[:3] + lines[2:]):
        with pytest.raises(LedgerError):
            verify_log_proof("\n".join(broken).encode(), b"entry 7", trust())


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"c2sp.org/tlog-proof@v1",
        b"c2sp.org/tlog-proof@v2\nindex 0\n\n",
        b"c2sp.org/tlog-proof@v1\nextra AAAA\nindex 0\n\n",
        b"c2sp.org/tlog-proof@v1\nindex 00\n\n",
        b"c2sp.org/tlog-proof@v1\nindex -1\n\n",
        b"c2sp.org/tlog-proof@v1\nindex 99999999999999999999\n\n",
        b"c2sp.org/tlog-proof@v1\nindex 0\n" + b"A" * 43 + b"=\n" * 64 + b"\n",
        b"\xff" * 100,
        b"A" * (1 << 20),
    ],
)
def test_what_is_no_proof_is_malformed(text: bytes) -> None:
    with pytest.raises(MalformedError):
        parse_log_proof(text)


CHECKPOINT = b"example.org/log\n1\n" + base64.b64encode(bytes(32)) + b"\n"
SIGNATURE = "— example.org/log AAAAAAAA\n".encode()


@pytest.mark.parametrize(
    "note",
    [
        CHECKPOINT + SIGNATURE,  # no empty line
        CHECKPOINT + b"\n",  # no signature
        CHECKPOINT + b"\n" + SIGNATURE[:-1],  # no newline
        CHECKPOINT + b"\n" + SIGNATURE + SIGNATURE,  # one key twice
        CHECKPOINT + b"\n" + SIGNATURE.replace(b"AAAAAAAA", b"AAAAAA=="),  # no signature bytes
        CHECKPOINT + b"\n" + SIGNATURE.replace(b"AAAAAAAA", b"AAAAAAA\n"),
        CHECKPOINT.replace(b"\n1\n", b"\n01\n") + b"\n" + SIGNATURE,
        CHECKPOINT.replace(b"\n1\n", b"\n0\n") + b"\n" + SIGNATURE,  # wrong empty root
        CHECKPOINT.replace(b"\n", b"\r\n") + b"\n" + SIGNATURE,
        CHECKPOINT.replace(b"example.org/log", b"example org") + b"\n" + SIGNATURE,
        CHECKPOINT + b"extension\n\n" + SIGNATURE,
        b"\n\n\n",
    ],
)
def test_a_checkpoint_that_is_not_strictly_one_is_malformed(note: bytes) -> None:
    with pytest.raises(MalformedError):
        parse_checkpoint(note)


def test_the_specification_s_example_note_verifies() -> None:
    key = parse_key("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k")
    signature = (
        "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYj"
        "OBH3mFXmRKuwHjG1Yu72IneyaQM="
    )
    note = f"This is an example message.\n\n— example.com/foo {signature}\n".encode()
    verify_note(parse_note(note), key)
    with pytest.raises(LedgerError):
        verify_note(parse_note(note.replace(b"example message", b"examp1e message")), key)


@pytest.mark.parametrize(
    "text",
    ["", "a+b", "x+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", "a b+00000000+AAAA"],
)
def test_a_verifier_key_must_be_whole(text: str) -> None:
    with pytest.raises(MalformedError):
        parse_key(text)


def test_private_keys_never_show() -> None:
    assert LOG.private.hex() not in repr(LOG)
    assert repr(LOG) == "NoteSigner('example.org/log')"


# --- a real log: Rekor's record of an Oak endorsement ---------------------------------------------


def rekor() -> dict[str, object]:
    (entry,) = json.loads((VECTORS / "oak-logentry.json").read_bytes()).values()
    return dict(entry)


def test_a_recorded_rekor_entry_is_in_its_tree() -> None:
    entry = rekor()
    body = base64.b64decode(str(entry["body"]))
    proof = entry["verification"]["inclusionProof"]  # type: ignore[index]
    hashes_ = tuple(bytes.fromhex(item) for item in proof["hashes"])
    root = bytes.fromhex(proof["rootHash"])
    index, size = proof["logIndex"], proof["treeSize"]
    assert (index, size) == (10289603, 10289604)
    verify_inclusion(leaf_hash(body), index, size, hashes_, root)
    for wrong in (
        (index - 1, size, hashes_),
        (index, size + 1, hashes_),
        (index, size, hashes_[1:]),
        (index, size, (*hashes_, bytes(32))),
    ):
        with pytest.raises(LedgerError):
            verify_inclusion(leaf_hash(body), wrong[0], wrong[1], wrong[2], root)
    with pytest.raises(LedgerError):
        verify_inclusion(leaf_hash(body + b" "), index, size, hashes_, root)


def test_rekor_s_checkpoint_and_promise_are_signed_by_its_key() -> None:
    entry = rekor()
    verification = entry["verification"]
    note = parse_note(verification["inclusionProof"]["checkpoint"].encode())  # type: ignore[index]
    pem = (VECTORS / "oak-rekor_public_key.pem").read_bytes()
    key = serialization.load_pem_public_key(pem)
    assert isinstance(key, ec.EllipticCurvePublicKey)
    (signature,) = note.signatures
    der = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    assert signature.key_id == hashlib.sha256(der).digest()[:4]
    key.verify(signature.data, note.text.encode(), ec.ECDSA(hashes.SHA256()))
    assert (
        note.text.split("\n")[2]
        == base64.b64encode(
            bytes.fromhex(verification["inclusionProof"]["rootHash"])  # type: ignore[index]
        ).decode()
    )
    promised = {name: entry[name] for name in ("body", "integratedTime", "logID", "logIndex")}
    canonical = json.dumps(promised, sort_keys=True, separators=(",", ":")).encode()
    promise = base64.b64decode(verification["signedEntryTimestamp"])  # type: ignore[index]
    key.verify(promise, canonical, ec.ECDSA(hashes.SHA256()))


def sigstore_entry(name: str) -> dict[str, object]:
    bundle = json.loads((VECTORS / name).read_bytes())
    return dict(bundle["verificationMaterial"]["tlogEntries"][0])


@pytest.mark.parametrize(
    ("name", "own"),
    [("staging-bundle.sigstore.json", True), ("staging-wrong-log-entry.sigstore.json", False)],
)
def test_sigstore_bundles_prove_their_own_entry_and_no_other(name: str, own: bool) -> None:
    entry = sigstore_entry(name)
    bundle = json.loads((VECTORS / name).read_bytes())
    body = base64.b64decode(str(entry["canonicalizedBody"]))
    proof = entry["inclusionProof"]
    hashes_ = tuple(base64.b64decode(item) for item in proof.get("hashes", ()))  # type: ignore[attr-defined]
    root = base64.b64decode(proof["rootHash"])  # type: ignore[index]
    index, size = int(proof["logIndex"]), int(proof["treeSize"])  # type: ignore[index]
    # the proof is one of the logged body; whether that body is this bundle's, is the question
    verify_inclusion(leaf_hash(body), index, size, hashes_, root)
    logged = json.loads(body)["spec"]["signature"]["content"]
    signature = bundle["messageSignature"]["signature"]
    assert (logged == signature) is own
