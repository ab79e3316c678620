"""Azure confidential VMs: the paravisor's report, its runtime data, and the whole evidence."""

import base64
import json
from collections.abc import Iterator

from appraising import look

from manatee.attestation._azure.hcl import parse_hcl_report
from manatee.attestation._azure.payload import read_payload
from manatee.attestation._azure.runtime_data import read_runtime_data
from manatee.attestation._azure.verifier import MEDIA_TYPE
from manatee.errors import MalformedError
from vectors import vectors


def hcl(text: str) -> bytes:
    bare = text.rstrip("=").replace("-", "+").replace("_", "/")
    return base64.b64decode(bare + "=" * (-len(bare) % 4))


def seeds() -> Iterator[bytes]:
    for whole in vectors("azure-cvm/*.json"):
        yield b"\x00" + whole
        document = json.loads(whole)
        report = hcl(document.get("evidence", document)["hcl_report"])
        yield b"\x01" + report
        yield b"\x02" + parse_hcl_report(report).runtime_data


def one(data: bytes) -> None:
    kind, rest = data[:1], data[1:]
    if kind == b"\x00":
        read_payload(rest)
        look(MEDIA_TYPE, rest)
    elif kind == b"\x01":
        read_runtime_data(parse_hcl_report(rest).runtime_data)
    elif kind == b"\x02":
        read_runtime_data(rest)
    else:
        raise MalformedError("no such choice.")
