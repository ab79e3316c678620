"""`manatee attest`: evidence is shown, appraised offline, and each outcome has its exit code."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from manatee.attestation import GuestImage, ReferenceValues, verifiers
from manatee.attestation._tdx.quote import parse_quote
from manatee.attestation._tdx.reference import TdxReference
from manatee.cli import _attest_commands
from manatee.cli._output import Format, fail
from manatee.errors import ManateeError
from manatee.records import Evidence, canonical_json, digest_bytes, to_base64

VECTORS = Path(__file__).parents[2] / "vectors"
QUOTE = VECTORS / "tdx" / "v4-b0c06f.quote"
COLLATERAL = VECTORS / "tdx" / "v4-b0c06f.collateral.json"
REPORT = VECTORS / "snp" / "milan-report.bin"
JULY = "2025-07-01T00:00:00Z"
RUNTIME = digest_bytes(b"runtime")
REPORT_DATA = parse_quote(QUOTE.read_bytes())[0].report_data.hex()


APP = typer.Typer()
_attest_commands.add_to(APP)
APP.command("other")(lambda: None)


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def manatee(*arguments: object) -> Answer:
    """Run a command in this process, with exit codes as `manatee.cli._app.run` makes them."""
    result = CliRunner().invoke(APP, ["attest", *map(str, arguments)])
    if isinstance(result.exception, ManateeError):
        return Answer(fail(result.exception, Format.TABLE), result.stdout, str(result.exception))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Answer(result.exit_code, result.stdout, result.stderr)


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    quote = parse_quote(QUOTE.read_bytes())[0]
    rtmrs = {f"rtmr{number}": value.hex() for number, value in enumerate(quote.rtmrs)}
    image = GuestImage(
        kind="intel-tdx",
        measurements={"mrtd": quote.mr_td.hex(), **rtmrs},
        runtime_digest=RUNTIME,
    )
    values = ReferenceValues(
        runtime_digests=(RUNTIME,), roots={}, images=(image,), tdx=TdxReference()
    )
    path = tmp_path / "policy.json"
    path.write_bytes(canonical_json(values))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "collateral"
    answer = manatee(
        "collateral", "import", COLLATERAL, "--as", "tdx-collateral", "--collateral", path
    )
    assert answer.code == 0
    return path


def verify(policy: Path, folder: Path, *more: object, file: Path = QUOTE) -> Answer:
    given = ("--policy", policy, "--collateral", folder, "--kind", "intel-tdx")
    return manatee("verify", file, *given, *more)


def test_good_evidence_is_accepted_with_every_check_shown(policy: Path, folder: Path) -> None:
    answer = verify(policy, folder, "--at", JULY, "--report-data", REPORT_DATA)
    assert answer.code == 0
    assert "ACCEPTED at assurance tier hardware" in answer.out
    assert "✓" in answer.out
    assert "✗" not in answer.out
    assert "91eb2b44d141d4ec" in answer.out


def test_the_same_outcome_for_machines(policy: Path, folder: Path) -> None:
    answer = verify(policy, folder, "--at", JULY, "--report-data", REPORT_DATA, "-o", "json")
    assert answer.code == 0
    assert answer.json["accepted"] is True
    assert answer.json["tier"] == "hardware"
    assert answer.json["at"] == JULY
    assert answer.json["claims"]["tcb_status"] == "UpToDate"
    assert answer.json["claims"]["runtime_digest"] == RUNTIME
    assert {item["outcome"] for item in answer.json["checks"]} == {"passed"}


@pytest.mark.parametrize(
    ("more", "check"),
    [
        (("--at", JULY, "--report-data", "01" * 64), "binding"),
        (("--at", "2025-08-01T00:00:00Z", "--report-data", REPORT_DATA), "collateral"),
        (("--at", JULY, "--nonce", "01" * 32), "binding"),
        (("--at", JULY, "--nonce-text", "a nonce"), "binding"),
        (("--at", JULY, "--binding", REPORT_DATA), "binding"),
        (("--report-data", REPORT_DATA), "collateral"),  # today, long after
    ],
)
def test_refused_evidence_exits_with_seven(
    more: tuple[str, ...], check: str, policy: Path, folder: Path
) -> None:
    answer = verify(policy, folder, *more, "-o", "json")
    assert answer.code == 7
    assert answer.json["accepted"] is False
    failed = [item["name"] for item in answer.json["checks"] if item["outcome"] == "failed"]
    assert check in failed


def test_an_empty_policy_accepts_nothing(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "empty.json"
    path.write_text('{"runtime_digests":[],"roots":{}}')
    answer = verify(path, folder, "--at", JULY, "--report-data", REPORT_DATA)
    assert answer.code == 7
    assert "REFUSED" in answer.out


def test_missing_collateral_is_refused_and_named(policy: Path, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    answer = verify(policy, tmp_path / "none", "--at", JULY, "--report-data", REPORT_DATA)
    assert answer.code == 7
    assert "collateral" in answer.err


def test_collateral_can_be_named_on_the_command_line(policy: Path) -> None:
    answer = manatee(
        *("verify", QUOTE, "--kind", "intel-tdx", "--policy", policy, "--at", JULY),
        *("--report-data", REPORT_DATA, "--endorsement", f"intel-tdx/b0c06f000000={COLLATERAL}"),
    )
    assert answer.code == 0


@pytest.mark.parametrize("data", [b"", b"x", b"\x04\x00", b"{}", b"A" * (1 << 20), b"A" * 70_000])
def test_bytes_that_are_no_evidence_exit_with_two(
    data: bytes, policy: Path, folder: Path, tmp_path: Path
) -> None:
    file = tmp_path / "evidence"
    file.write_bytes(data)
    assert verify(policy, folder, "--report-data", REPORT_DATA, file=file).code == 2
    assert manatee("inspect", file).code == 2
    assert manatee("inspect", file, "--kind", "intel-tdx").code == 2


@pytest.mark.parametrize(
    "given",
    [
        (),
        ("--nonce", REPORT_DATA, "--report-data", REPORT_DATA, "--at", JULY),
        ("--nonce", "not hexadecimal"),
        ("--report-data", REPORT_DATA[:-2]),
        ("--report-data", REPORT_DATA, "--at", "yesterday"),
        ("--report-data", REPORT_DATA, "--endorsement", "no such file"),
    ],
)
def test_what_evidence_is_bound_to_must_be_said_exactly(
    given: tuple[str, ...], policy: Path, folder: Path
) -> None:
    assert verify(policy, folder, *given).code == 2


@pytest.mark.parametrize("given", ["00" * 64, "00" * 32])
def test_a_binding_of_zeros_is_refused(given: str, policy: Path, folder: Path) -> None:
    assert verify(policy, folder, "--nonce", given, "--at", JULY).code == 7


def test_an_evidence_record_needs_no_kind_and_must_be_of_the_kind_named(
    policy: Path, folder: Path, tmp_path: Path
) -> None:
    record = Evidence(
        media_type="application/vnd.manatee.intel-tdx-quote",
        payload=to_base64(QUOTE.read_bytes()),
    )
    file = tmp_path / "evidence.json"
    file.write_bytes(canonical_json(record))
    given = ("--policy", policy, "--at", JULY, "--collateral", folder)
    answer = manatee("verify", file, *given, "--report-data", REPORT_DATA)
    assert answer.code == 0
    assert verify(policy, folder, "--at", JULY, "--report-data", REPORT_DATA, file=file).code == 0
    answer = manatee("verify", file, *given, "--nonce", "01", "--kind", "amd-sev-snp")
    assert answer.code == 7
    assert "another kind" in answer.err


def test_inspecting_shows_fields_and_accepts_nothing() -> None:
    answer = manatee("inspect", REPORT, "--kind", "amd-sev-snp", "-o", "json")
    assert answer.code == 0
    assert answer.json["claims"] is None
    assert answer.json["fields"]["measurement"].startswith("5feee30d6d7e1a29")
    answer = manatee("inspect", QUOTE, "--kind", "intel-tdx")
    assert "91eb2b44d141d4ec" in answer.out
    assert "Nothing of this is accepted" in answer.err


def test_inspecting_with_collateral_shows_claims(folder: Path) -> None:
    answer = manatee(
        *("inspect", QUOTE, "--kind", "intel-tdx", "--collateral", folder, "--at", JULY),
        *("-o", "json"),
    )
    assert answer.json["claims"]["tcb_status"] == "UpToDate"


@pytest.mark.parametrize("kind", [item.kind for item in verifiers()])
def test_every_kind_refuses_noise_without_a_trace(kind: str, tmp_path: Path, policy: Path) -> None:
    file = tmp_path / "noise"
    for data in (b"\0" * 2000, b"[" * 50_000, b"\xff" * 1184, b'{"a":1}'):
        file.write_bytes(data)
        given = ("--kind", kind, "--policy", policy, "--nonce", "01" * 32, "--at", JULY)
        assert manatee("verify", file, *given).code in {2, 7}
        assert manatee("inspect", file, "--kind", kind, "--at", JULY).code in {0, 2, 7}


def test_an_unknown_kind_lists_those_there_are() -> None:
    answer = manatee("inspect", QUOTE, "--kind", "tdx")
    assert answer.code == 2
    assert "intel-tdx" in answer.err


def test_collateral_is_shown_with_its_age(folder: Path) -> None:
    answer = manatee("collateral", "show", "--collateral", folder, "--at", JULY, "-o", "json")
    (row,) = answer.json
    assert row["name"] == "intel-tdx/b0c06f000000"
    assert row["issued"] == "2025-06-19T10:16:03Z"
    assert row["over"] is False
    answer = manatee("collateral", "show", "--collateral", folder)
    assert "over" in answer.out


def test_intels_raw_answers_are_joined_from_a_folder(tmp_path: Path) -> None:
    source = VECTORS / "tdx" / "collateral-2026-03"
    parts = tmp_path / "parts"
    parts.mkdir()
    for name, vector in {
        "tcb_info.json": "tcb_info_90c06f000000.json",
        "tcb_signing_chain.pem": "tcb_signing_chain.pem",
        "qe_identity.json": "td_qe_identity.json",
        "qe_identity_signing_chain.pem": "qe_identity_signing_chain.pem",
        "pck_crl.der": "pck_crl_platform.der",
        "pck_crl_issuer_chain.pem": "tcb_signing_chain.pem",
        "root_ca_crl.der": "root_ca_crl.der",
    }.items():
        (parts / name).write_bytes((source / vector).read_bytes())
    cache = tmp_path / "collateral"
    given = ("--as", "tdx-parts", "--collateral", cache, "-o", "json")
    answer = manatee("collateral", "import", parts, *given)
    assert answer.code == 0
    assert answer.json[0]["name"] == "intel-tdx/90c06f000000"
    (parts / "pck_crl.der").unlink()
    assert manatee("collateral", "import", parts, *given).code == 2


@pytest.mark.parametrize("kind", ["certificate", "crl", "jwks", "rim", "certificates", ""])
def test_an_import_is_exactly_what_is_said_of_it(kind: str, tmp_path: Path) -> None:
    cache = tmp_path / "collateral"
    given = ("--as", kind, "--collateral", cache)
    assert manatee("collateral", "import", COLLATERAL, *given).code == 2
    assert list(tmp_path.rglob("*.json")) == []


@pytest.mark.parametrize(
    "given", [("amd",), ("intel",), ("keys",), ("rim",), ("google",), ("keys", "--issuer", "a")]
)
def test_a_fetch_must_say_for_what(given: tuple[str, ...], tmp_path: Path) -> None:
    assert manatee("collateral", "fetch", *given, "--collateral", tmp_path / "c").code == 2


def test_accepting_needs_the_digest_of_something_held(folder: Path) -> None:
    given = ("--sha256", "0" * 64, "--collateral", folder)
    assert manatee("collateral", "accept", "jwks/https://a", *given).code == 4
