"""Intel TDX quotes and the collateral beside them."""

from collections.abc import Iterator

from appraising import look

from manatee.attestation import Endorsements
from manatee.attestation._tdx.collateral import read_collateral
from manatee.attestation._tdx.quote import parse_quote
from manatee.attestation._tdx.verifier import MEDIA_TYPE
from vectors import vector, vectors

COLLATERAL = vector("tdx/v4-b0c06f.collateral.json")
BESIDE = Endorsements(documents={"intel-tdx/b0c06f000000": COLLATERAL})


def seeds() -> Iterator[bytes]:
    for quote in vectors("tdx/*.quote"):
        yield b"\x00" + quote
    yield b"\x01" + COLLATERAL


def one(data: bytes) -> None:
    if data[:1] == b"\x01":
        read_collateral(data[1:])
        return
    quote, unpadded = parse_quote(data[1:])
    assert data[1:].startswith(unpadded)
    assert len(quote.report_data) == 64
    look(MEDIA_TYPE, data[1:], endorsements=BESIDE)
