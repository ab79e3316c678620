"""NVIDIA's detached tokens: the outer JSON, and claims of the overall and of one GPU's token."""

import base64
import json
from collections.abc import Iterator

from appraising import look

from manatee.attestation import Endorsements
from manatee.attestation._tokens.detached import read_detached
from manatee.attestation._tokens.nras import MEDIA_TYPE
from vectors import vector

ISSUER = "https://nras.attestation.nvidia.com"
KEYS = Endorsements(documents={f"jwks/{ISSUER}": vector("nvidia/nras-jwks.json")})
WHOLE = vector("nvidia/nras-detached-eat.json")


def plain(token: str) -> bytes:
    claims = token.split(".")[1]
    return base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4))


def token(claims: bytes) -> str:
    kid = json.loads(KEYS.documents[f"jwks/{ISSUER}"])["keys"][0]["kid"]
    header = json.dumps({"alg": "ES384", "kid": kid}).encode()
    parts = (header, claims, bytes(96))
    return ".".join(base64.urlsafe_b64encode(item).rstrip(b"=").decode() for item in parts)


def seeds() -> Iterator[bytes]:
    (_, overall), gpus = json.loads(WHOLE)
    yield b"\x00" + WHOLE
    yield b"\x01" + plain(overall) + b"\0" + plain(gpus["GPU-0"])


def one(data: bytes) -> None:
    if data[:1] == b"\x01":
        overall, _, gpu = data[1:].partition(b"\0")
        whole = json.dumps([["JWT", token(overall)], {"GPU-0": token(gpu)}]).encode()
    else:
        whole = data[1:]
    read_detached(whole)
    look(MEDIA_TYPE, whole, endorsements=KEYS)
