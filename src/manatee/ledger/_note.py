"""Signed notes (C2SP signed-note): a text and signatures by named keys, both plain to read."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from manatee.errors import LedgerError, MalformedError
from manatee.records import to_base64, unbase64

MAX_NOTE_BYTES = 64 << 10
MAX_SIGNATURES = 64
ED25519 = 0x01
COSIGNATURE = 0x04

_NAME = re.compile(r"[^\s+\x00-\x20\x7f]{1,200}")
_LINE = re.compile("— ([^\\s+]{1,200}) ([A-Za-z0-9+/]+={0,2})")
_VKEY = re.compile(r"([^\s+]{1,200})\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})")


def check_name(name: str) -> str:
    """Return a key name or origin that is one.

    Raises:
        MalformedError: It is empty, too long, or holds spaces, plus signs or control characters.
    """
    if not _NAME.fullmatch(name):
        raise MalformedError("a key name holds no spaces and no +, and has 1 to 200 characters.")
    return name


@dataclass(frozen=True)
class NoteKey:
    """A public key by name: what whoever verifies is configured with.

    Attributes:
        name: Of its owner, such as `example.org/log`.
        algorithm: `ED25519` or `COSIGNATURE`.
        public: The raw Ed25519 public key.
    """

    name: str
    algorithm: int
    public: bytes

    @property
    def key_id(self) -> bytes:
        """The four bytes that stand before each of its signatures."""
        text = self.name.encode() + b"\n" + bytes((self.algorithm,)) + self.public
        return hashlib.sha256(text).digest()[:4]

    def __str__(self) -> str:
        """Return the key as a verifier key: name, key id and key."""
        key = to_base64(bytes((self.algorithm,)) + self.public)
        return f"{self.name}+{self.key_id.hex()}+{key}"

    def holds(self, signature: bytes, message: bytes) -> bool:
        """Whether a raw signature over a message is this key's."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


def parse_key(text: str) -> NoteKey:
    """Read a verifier key.

    Raises:
        MalformedError: It is not one, of another algorithm, or its key id is not its own.
    """
    match = _VKEY.fullmatch(text)
    if not match:
        raise MalformedError("a verifier key has the form name+id+key.")
    data = unbase64(match[3])
    if len(data) != 33 or data[0] not in (ED25519, COSIGNATURE):
        raise MalformedError("a verifier key must be Ed25519, of type 1 or 4.")
    key = NoteKey(check_name(match[1]), data[0], data[1:])
    if key.key_id.hex() != match[2]:
        raise MalformedError("a verifier key's id is not that of its key.")
    return key


@dataclass(frozen=True)
class NoteSigner:
    """A private key by name. Its representation never shows the key."""

    name: str
    algorithm: int
    private: bytes

    def __repr__(self) -> str:
        return f"NoteSigner({self.name!r})"

    @property
    def key(self) -> NoteKey:
        """The public side."""
        return NoteKey(self.name, self.algorithm, self._private().public_key().public_bytes_raw())

    def sign(self, message: bytes) -> bytes:
        """Return the raw signature of a message."""
        return self._private().sign(message)

    def _private(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.private)


def new_signer(name: str, algorithm: int) -> NoteSigner:
    """Make a key. Raises MalformedError on a bad name."""
    return NoteSigner(check_name(name), algorithm, Ed25519PrivateKey.generate().private_bytes_raw())


@dataclass(frozen=True)
class NoteSignature:
    """One signature line: `data` is what follows the key id."""

    name: str
    key_id: bytes
    data: bytes

    def line(self) -> str:
        """Return the line, newline included."""
        return f"— {self.name} {to_base64(self.key_id + self.data)}\n"


@dataclass(frozen=True)
class Note:
    """A text, which ends in a newline, and its signatures, none of them verified."""

    text: str
    signatures: tuple[NoteSignature, ...]

    def encode(self) -> bytes:
        """Return the note's bytes."""
        return (self.text + "\n" + "".join(item.line() for item in self.signatures)).encode()

    def by(self, key: NoteKey) -> NoteSignature | None:
        """Return the signature that claims to be by a key."""
        for item in self.signatures:
            if item.name == key.name and item.key_id == key.key_id:
                return item
        return None


def parse_signatures(lines: Iterable[str]) -> tuple[NoteSignature, ...]:
    """Read signature lines, without their newlines.

    Raises:
        MalformedError: One is not a signature line, or one key stands twice.
    """
    found: list[NoteSignature] = []
    for line in lines:
        match = _LINE.fullmatch(line)
        if not match or len(found) == MAX_SIGNATURES:
            raise MalformedError("a note's signature line cannot be read, or there are too many.")
        data = unbase64(match[2])
        if len(data) < 5:
            raise MalformedError("a note's signature is too short.")
        found.append(NoteSignature(check_name(match[1]), data[:4], data[4:]))
    if len({(item.name, item.key_id) for item in found}) != len(found):
        raise MalformedError("a note is signed twice by one key.")
    return tuple(found)


def parse_note(data: bytes) -> Note:
    """Read a signed note strictly, verifying nothing.

    Raises:
        MalformedError: It is not a signed note, or too large.
    """
    if len(data) > MAX_NOTE_BYTES:
        raise MalformedError(f"a note has over {MAX_NOTE_BYTES} bytes.")
    try:
        whole = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedError("a note is not UTF-8.") from error
    if any(character < " " and character != "\n" for character in whole):
        raise MalformedError("a note holds control characters.")
    text, separator, signatures = whole.rpartition("\n\n")
    if not separator or not text or not signatures.endswith("\n"):
        raise MalformedError("a note is a text, an empty line and signature lines.")
    return Note(text + "\n", parse_signatures(signatures[:-1].split("\n")))


def verify_note(note: Note, key: NoteKey) -> None:
    """Check a note's Ed25519 signature by a key.

    Raises:
        LedgerError: It carries none, or one that does not hold.
    """
    signature = note.by(key)
    if key.algorithm != ED25519 or signature is None:
        raise LedgerError(f"the note carries no signature of {key.name}.")
    if not key.holds(signature.data, note.text.encode()):
        raise LedgerError(f"the signature of {key.name} does not hold.")
