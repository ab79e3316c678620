"""Forged SEV-SNP reports, by a processor of our own: each fails the one check it breaks."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
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
    ARK,
    ARK_KEY,
    ASK,
    ASK_KEY,
    AT,
    CHIP,
    NOW,
    VCEK_KEY,
    VECTORS,
    Forge,
    amd_extensions,
    certificate,
    failed,
    leaf_der,
    look,
    report_bytes,
    revocation_list,
    vcek,
    vlek,
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


def test_others_certificates_do_not_crowd_out_the_one_that_fits() -> None:
    others = tuple(vcek(x4=bytes([number]) * 64) for number in range(12))
    crowded = Forge(leaf=others[0], more=(*map(der, others[1:]), der(vcek())))
    assert failed(crowded.look()) == []


def test_the_reported_tcb_itself_reaches_the_floor() -> None:
    places = {0x180: bytes([10, 0, 0, 0, 0, 0, 26, 27])}  # below what ran at launch
    assert failed(Forge(places, leaf=vcek(x3_3=b"\x02\x01\x1a")).look()) == ["tcb"]


def test_no_tcb_is_reported_that_does_not_run() -> None:
    places = {0x180: bytes([10, 0, 0, 0, 0, 0, 28, 27])}
    result = Forge(places, leaf=vcek(x3_3=b"\x02\x01\x1c")).look()
    assert failed(result) == ["tcb-consistent"]


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


def test_what_an_outdated_list_names_stays_revoked() -> None:
    old = revocation_list([7], ARK_KEY, ends=NOW - timedelta(minutes=1))
    assert "root" in failed(Forge().look(revocations=(old,)))


def test_an_outdated_list_beside_a_new_one_does_no_harm() -> None:
    lists = tuple(
        revocation_list([], ARK_KEY, ends=NOW + timedelta(minutes=minutes)) for minutes in (-1, 1)
    )
    assert failed(Forge().look(revocations=lists)) == []


def test_a_list_of_another_issuer_says_nothing() -> None:
    other = revocation_list([7], ASK_KEY, ends=NOW + timedelta(days=1), issuer="ARK-Milan")
    assert failed(Forge().look(revocations=(other,))) == []


@pytest.mark.parametrize(
    "places",
    [
        {0x00: b"\4"},
        {0x08: (0x10000).to_bytes(8, "little")},  # the bit that must be one
        {0x08: (0x30000 | 1 << 26).to_bytes(8, "little")},
        {0x34: b"\0"},
        {0x48: b"\x02"},  # masked chip key
        {0x48: b"\x1c"},  # signed by nobody
        {0x48: b"\x08"},
        {0x48: b"\x20"},
        {0x4C: b"\1"},
        {0x18B: b"\1"},
        {0x19F: b"\1"},
        {0x1EB: b"\1"},
        {0x1EF: b"\1"},
        {0x208: b"\1"},
        {0x29F: b"\1"},
        {0x00: b"\3", 0x1F8: b"\1"},  # a field of version 5
        {0x00: b"\2", 0x188: b"\1\0\0", 0x1F8: bytes(16)},  # a field of version 3
        {0x182: b"\1"},  # reserved in Genoa's TCB
        {0x38 + 3: b"\1"},
        {0x1E0 + 3: b"\1"},
        {0x1F0 + 3: b"\1"},
    ],
)
def test_what_the_specification_reserves_is_refused_even_if_signed(
    places: dict[int, bytes],
) -> None:
    with pytest.raises(MalformedError):
        Forge(places).look()


def test_version_2_names_no_processor_and_version_3_does() -> None:
    old = {0x00: b"\2", 0x188: bytes(3), 0x1F8: bytes(16)}
    result = Forge(old).look()
    assert failed(result) == []
    assert result.claims is not None
    assert result.claims.platform == "Genoa"
    assert failed(Forge({0x00: b"\3", 0x1F8: bytes(16)}).look()) == []


def test_a_report_that_the_host_asked_for_is_refused_at_every_level() -> None:
    places = {0x30: b"\xff" * 4}
    assert failed(Forge(places).look({"maximum_vmpl": 3})) == ["vmpl"]


@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_vmpl_is_held_against_the_maximum(level: int) -> None:
    places = {0x30: level.to_bytes(4, "little")}
    for maximum in range(4):
        wanted = [] if level <= maximum else ["vmpl"]
        assert failed(Forge(places).look({"maximum_vmpl": maximum})) == wanted


def test_a_vlek_vouches_for_no_chip_unless_the_report_names_it() -> None:
    fleet = {"signing_keys": ("vlek",)}
    says_vlek = {0x48: b"\x04"}
    assert failed(Forge(says_vlek, leaf=vlek()).look(fleet)) == []
    assert failed(Forge(says_vlek, leaf=vlek()).look()) == ["signing-key"]
    ours = fleet | {"chip_ids": (CHIP.hex(),)}
    assert failed(Forge(says_vlek, leaf=vlek()).look(ours)) == []
    hidden = says_vlek | {0x1A0: bytes(64)}
    assert failed(Forge(hidden, leaf=vlek()).look(ours)) == ["chip"]
    zero = fleet | {"chip_ids": ("00" * 64,)}
    assert failed(Forge(hidden, leaf=vlek()).look(zero)) == ["chip"]
    masked = {0x48: b"\x06"}
    assert failed(Forge(masked, leaf=vlek()).look(fleet)) == []


def test_a_vcek_for_chip_zero_does_not_vouch_for_a_hidden_chip() -> None:
    hidden = Forge({0x1A0: bytes(64)}, leaf=vcek(x4=bytes(64)))
    assert failed(hidden.look()) == ["chip"]


def test_the_chip_list_names_whole_identifiers() -> None:
    assert failed(Forge().look({"chip_ids": (CHIP.hex(),)})) == []
    for other in (CHIP[:8], CHIP[:63], CHIP + b"\0", CHIP[:63] + b"\0"):
        assert failed(Forge().look({"chip_ids": (other.hex(),)})) == ["chip"]


def test_turin_has_its_own_layout_and_short_identifiers() -> None:
    places = {
        0x1A0: CHIP[:8] + bytes(56),
        0x188: b"\x1a\x02",
        **dict.fromkeys((0x38, 0x180, 0x1E0, 0x1F0), bytes([1, 1, 1, 4, 0, 0, 0, 81])),
    }
    extensions = {
        "x2": b"\x16\x05Turin",
        "x3_1": b"\x02\x01\x01",
        "x3_2": b"\x02\x01\x01",
        "x3_3": b"\x02\x01\x04",
        "x3_8": b"\x02\x01\x51",
        "x3_9": b"\x02\x01\x01",
        "x4": CHIP[:8],
    }
    good = Forge(places, leaf=vcek(**extensions))
    assert failed(good.look()) == []
    assert failed(good.look({"chip_ids": (CHIP[:8].hex(),)})) == []
    assert failed(good.look({"chip_ids": (CHIP[8:16].hex(),)})) == ["chip"]
    for component, lower in {"x3_9": 0, "x3_1": 2, "x3_2": 0, "x3_3": 5, "x3_8": 80}.items():
        other = vcek(**(extensions | {component: bytes([2, 1, lower])}))
        assert failed(Forge(places, leaf=other).look()) == ["tcb-endorsed"]
    missing = vcek(**(extensions | {"x3_9": None}))
    assert failed(Forge(places, leaf=missing).look()) == ["tcb-endorsed"]
    with pytest.raises(MalformedError):  # a short identifier is Turin's
        read_endorsed(vcek(x4=CHIP[:8]))


def _upper(**how: Any) -> tuple[x509.Certificate, x509.Certificate]:
    plain: dict[str, Any] = {"ca": True}
    ark = certificate("ARK-Genoa", "ARK-Genoa", ARK_KEY, ARK_KEY, **(plain | how.get("ark", {})))
    ask = certificate("SEV-Genoa", "ARK-Genoa", ASK_KEY, ARK_KEY, **(plain | how.get("ask", {})))
    return ask, ark


@pytest.mark.parametrize("which", ["leaf", "ask", "ark"])
@pytest.mark.parametrize("how", [{"pss": False}, {"algorithm": hashes.SHA256()}])
def test_a_certificate_signed_in_another_way_is_not_amds(which: str, how: dict[str, Any]) -> None:
    if which == "leaf":
        result = Forge(leaf=vcek(how=how)).look()
    else:
        result = Forge(upper=_upper(**{which: how})).look()
    assert failed(result) == ["root", "signature"]
    assert result.claims is None


@pytest.mark.parametrize("which", ["leaf", "ask", "ark"])
def test_authorities_are_authorities_and_the_leaf_is_none(which: str) -> None:
    if which == "leaf":
        result = Forge(leaf=vcek(how={"ca": True})).look()
    else:
        result = Forge(upper=_upper(**{which: {"ca": False}})).look()
    assert failed(result) == ["root", "signature"]


@pytest.mark.parametrize("days", [-2, 2])
@pytest.mark.parametrize("which", ["leaf", "ask", "ark"])
def test_each_certificate_must_be_in_its_time(which: str, days: int) -> None:
    shifted = {"shift": timedelta(days=days)}
    if which == "leaf":
        result = Forge(leaf=vcek(how=shifted)).look()
    else:
        result = Forge(upper=_upper(**{which: shifted})).look()
    assert failed(result) == ["root", "signature"]


def test_a_leaf_straight_below_the_root_is_not_amds_path() -> None:
    leaf = certificate(
        "SEV-VCEK", "ARK-Genoa", VCEK_KEY, ARK_KEY, ca=False, extensions=amd_extensions()
    )
    assert "root" in failed(Forge(leaf=leaf).look())


def test_the_signing_key_is_on_p384() -> None:
    leaf = vcek(key=ec.generate_private_key(ec.SECP256R1()))
    assert failed(Forge(leaf=leaf).look()) == ["signature"]
    leaf = vcek(key=ASK_KEY)
    assert failed(Forge(leaf=leaf).look()) == ["signature"]


def test_the_forge_is_nothing_to_whoever_pins_amd() -> None:
    forge = Forge()
    data = forge.report()
    result = look(data, der(forge.leaf), NOW, more=(der(ASK), der(ARK)))
    assert {"root", "signature"} <= set(failed(result))
    assert result.claims is None


def test_the_same_evidence_twice_gives_the_same_answer() -> None:
    data, leaf = report_bytes("milan-azure-report"), leaf_der("milan-azure-vcek.der")
    at = AT["milan-azure-report"]
    assert look(data, leaf, at) == look(data, leaf, at)
