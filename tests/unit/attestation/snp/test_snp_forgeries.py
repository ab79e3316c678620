"""Forged SEV-SNP reports, by a processor of our own: each fails the one check it breaks."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from manatee.attestation._certificates import read_pem_chain
from manatee.attestation._snp.endorsement import read_endorsed
from manatee.attestation._vendor_roots import der
from manatee.errors import (
    AppraisalUnavailableError,
    MalformedError,
)

sys.path.insert(0, str(Path(__file__).parent))
from snp_forge import (
    ARK_KEY,
    ASK_KEY,
    AT,
    NOW,
    VECTORS,
    Forge,
    certificate,
    failed,
    leaf_der,
    look,
    report_bytes,
    revocation_list,
    vcek,
)


def test_the_forge_itself_is_accepted_by_whoever_pins_it() -> None:
    assert failed(Forge().look()) == []


def policy(extra: int) -> dict[int, bytes]:
    return {0x08: (0x30000 | extra).to_bytes(8, "little")}


@pytest.mark.parametrize(
    ("places", "check"),
    [
        (policy(1 << 19), "debug"),
        (policy(1 << 18), "migration"),
        ({0x160: bytes(32)}, "migration"),
        ({0x30: b"\1\0\0\0"}, "vmpl"),
        ({0x40: b"\x05" + bytes(7)}, "alias-check"),
        ({0x1A0: bytes(64)}, "chip"),
        ({0x180: bytes([9, 0, 0, 0, 0, 0, 27, 27])}, "tcb-endorsed"),
        ({0x38: bytes([10, 0, 0, 0, 0, 0, 27, 26])}, "tcb-consistent"),  # current below reported
        ({0x1E0: bytes([10, 0, 0, 0, 0, 0, 28, 27])}, "tcb-consistent"),  # committed above current
        ({0x1F0: bytes([11, 0, 0, 0, 0, 0, 27, 27])}, "tcb-consistent"),  # launched above current
        ({0x1E0: bytes([9, 0, 0, 0, 0, 0, 27, 27])}, "tcb"),  # may roll back below the floor
        ({0x1F0: bytes([10, 0, 0, 0, 0, 0, 26, 27])}, "tcb"),  # launched before the floor
        ({0x48: b"\x04\0\0\0"}, None),  # says VLEK, and there is none
    ],
)
def test_each_lie_of_a_genuine_processor_fails_its_check(
    places: dict[int, bytes], check: str | None
) -> None:
    if check is None:
        with pytest.raises(AppraisalUnavailableError):
            Forge(places).look()
    else:
        found = failed(Forge(places).look())
        assert check in found
        assert set(found) <= {check, "tcb"}


@pytest.mark.parametrize(
    "changes",
    [
        {"x3_1": b"\x02\x01\x0b"},
        {"x3_1": b"\x02\x01\x09"},
        {"x3_2": b"\x02\x01\x01"},
        {"x3_3": b"\x02\x01\x1c"},
        {"x3_8": b"\x02\x01\x1a"},
        {"x3_8": None},
        {"x3_9": b"\x02\x01\x00"},
    ],
)
def test_a_certificate_for_another_tcb_is_refused(changes: dict[str, bytes | None]) -> None:
    assert failed(Forge(leaf=vcek(**changes)).look()) == ["tcb-endorsed"]


def test_a_certificate_of_another_chip_is_refused() -> None:
    assert failed(Forge(leaf=vcek(x4=bytes(64))).look()) == ["chip"]


@pytest.mark.parametrize(
    "changes",
    [
        {"x2": b"\x16\x05Gen"},
        {"x2": b"\x0c\x05Genoa"},
        {"x2": b"\x16\x05Gen\xffa"},
        {"x2": b""},
        {"x3_1": b""},
        {"x3_1": b"\x02\x01\xff"},
        {"x3_1": b"\x02\x02\x00\x05"},
        {"x3_1": b"\x04\x01\x05"},
        {"x3_4": b"\x02\x01\x01"},
        {"x4": b"short"},
        {"x4": None},
        {"x5": b"\x16\x01c"},
        {"x4": None, "x5": b"\x16\x00"},
    ],
)
def test_a_certificate_with_bad_extensions_is_malformed(changes: dict[str, bytes | None]) -> None:
    with pytest.raises(MalformedError):
        read_endorsed(vcek(**changes))


@pytest.mark.parametrize("product", [b"\x16\x05Milan", b"\x16\x05Turin", b"\x16\x06Venice"])
def test_a_certificate_of_another_product_is_refused(product: bytes) -> None:
    assert "product" in failed(Forge(leaf=vcek(x2=product)).look())


def test_an_unknown_processor_is_refused() -> None:
    assert "product" in failed(Forge({0x188: b"\x1b\x00"}).look())


def test_of_many_certificates_the_one_for_this_chip_and_tcb_is_found() -> None:
    others = (
        der(vcek(x4=bytes(64))),
        der(vcek(x3_8=b"\x02\x01\x1c")),
        der(vcek(x2=b"\x16\x05Turin")),
        der(vcek(x3_1=b"")),
        leaf_der("milan-vcek.pem"),
        leaf_der("milan-vlek.der"),
    )
    assert failed(Forge(more=others).look()) == []


def test_a_certificate_issued_anew_does_not_confuse() -> None:
    # the same chip, TCB and names, over another key: only a signature tells them apart
    imposter = vcek(key=ec.generate_private_key(ec.SECP384R1()))
    assert failed(Forge(leaf=imposter, more=(der(vcek()),)).look()) == []
    assert failed(Forge(leaf=imposter).look()) == ["signature"]


def test_shipped_intermediates_do_not_stand_in_for_wrong_ones() -> None:
    data, leaf, at = (
        report_bytes("milan-azure-report"),
        leaf_der("milan-azure-vcek.der"),
        AT["milan-azure-report"],
    )
    upper = {
        name: read_pem_chain((VECTORS / "snp" / f"chain-{name}.pem").read_bytes())
        for name in ("vcek-milan", "vcek-genoa", "vlek-milan")
    }
    chains = {name: tuple(map(der, chain)) for name, chain in upper.items()}
    assert failed(look(data, leaf, at)) == []
    assert failed(look(data, leaf, at, more=chains["vcek-milan"])) == []
    assert failed(look(data, leaf, at, more=chains["vcek-milan"] + chains["vcek-genoa"])) == []
    for wrong in ("vcek-genoa", "vlek-milan"):
        assert {"root", "signature"} == set(failed(look(data, leaf, at, more=chains[wrong])))
    same_names = certificate(
        upper["vcek-milan"][0].subject, upper["vcek-milan"][1].subject, ASK_KEY, ARK_KEY, ca=True
    )
    assert "root" in failed(look(data, leaf, at, more=(der(same_names),)))


def test_a_certificate_that_amd_revoked_is_refused() -> None:
    tomorrow = NOW + timedelta(days=1)
    assert failed(Forge().look(revocations=(revocation_list([8], ARK_KEY, ends=tomorrow),))) == []
    revoked = Forge().look(revocations=(revocation_list([7], ARK_KEY, ends=tomorrow),))
    assert {"root", "signature"} == set(failed(revoked))


def test_a_revocation_list_by_somebody_else_is_refused() -> None:
    forged = revocation_list([], ASK_KEY, ends=NOW + timedelta(days=1))
    assert "root" in failed(Forge().look(revocations=(forged,)))


def test_an_old_revocation_list_leaves_the_question_open() -> None:
    old = revocation_list([], ARK_KEY, ends=NOW - timedelta(minutes=1))
    with pytest.raises(AppraisalUnavailableError, match="not in force"):
        Forge().look(revocations=(old,))
    with pytest.raises(MalformedError):
        Forge().look(revocations=(b"not a list",))
