"""Both stages end to end: one private table, two stages, one proof."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from manatee.records import digest_file

pytestmark = [pytest.mark.sandbox, pytest.mark.xdist_group("demo")]

REAL_TABLE = Path(__file__).resolve().parents[3] / "shared" / "data" / "insurance" / "real.csv"


def test_the_job_is_released_and_its_proof_verifies(demo: Any) -> None:
    assert demo.answer["state"] == "released"
    assert demo.answer["verification"]["verified"] is True
    assert all(step["state"] == "done" for step in demo.answer["steps"])


def test_simulated_is_said_everywhere(demo: Any) -> None:
    assert demo.answer["verification"]["tier"] == "simulated"
    assert "SIMULATED" in demo.answer["verification"]["headline"]
    assert "insecure_accept_simulated_evidence" in demo.answer["verification"]["insecure_settings"]
    assert "INSECURE" in demo.progress
    assert "not hardware" in (demo.folder / "report.html").read_text()


def test_the_notebook_learned_something_different_on_each_table(demo: Any) -> None:
    twin, real = demo.answer["figures"]["twin"], demo.answer["figures"]["real"]
    assert twin["rmse_usd"] != real["rmse_usd"]
    assert real["rmse_usd"] < real["rmse_of_the_mean_usd"]


def test_a_generated_table_is_labelled_synthetic(demo: Any) -> None:
    assert demo.answer["label"] == "synthetic"
    settings = demo.answer["verification"]["insecure_settings"]
    assert "insecure_release_real_data_below_hardware" not in settings


def test_no_private_row_and_no_key_is_left_with_the_operator(demo: Any) -> None:
    """The service's home holds ciphertext, digests and the twin; never the table in the clear."""
    sealed = demo.folder / "provider" / "insurance" / "sealed"
    assert all(file.read_bytes()[-4:] == b"PARE" for file in sealed.iterdir())
    guests = [path for path in (demo.folder / "home").rglob("*.arrow")]
    assert guests == []


def test_the_services_home_is_nobody_elses_to_look_into(demo: Any) -> None:
    assert (demo.folder / "home").stat().st_mode & 0o077 == 0


def test_verify_prints_a_table_and_says_simulated(manatee: Any, demo: Any) -> None:
    done = manatee("verify", str(demo.bundle), "--trust", str(demo.trust))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("✓") >= 12
    assert "✗" not in done.stdout
    assert "SIMULATED" in done.stdout


def test_nobody_is_trusted_without_a_trust_file(manatee: Any, demo: Any) -> None:
    done = manatee("verify", str(demo.bundle))
    assert done.returncode == 10
    assert "NOT VERIFIED" in done.stdout
    assert "--trust" in done.stderr


def _tampered(manatee: Any, demo: Any, folder: Path, name: str) -> dict[str, str]:
    """Flip one bit in the middle of one file of a copy; return failed checks and reasons."""
    copy = folder / "bundle"
    shutil.copytree(demo.bundle, copy)
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / name).write_bytes(data)
    done = manatee("verify", str(copy), "--trust", str(demo.trust), "-o", "json")
    assert done.returncode in {2, 10}, done.stdout
    if done.returncode == 2:
        return {"read": json.loads(done.stdout)["error"]["message"]}
    answer = json.loads(done.stdout)
    assert answer["verified"] is False
    return {
        check["name"]: check["reason"] for check in answer["checks"] if check["outcome"] == "failed"
    }


@pytest.mark.parametrize(
    ("name", "failed"),
    [
        ("outputs/figure.png", "outputs"),
        ("outputs/notebook.ipynb", "outputs"),
        ("workspace/notebook.ipynb", "workspace"),
        ("manifest.json", "job"),
        ("evidence.json", "evidence"),
    ],
)
def test_one_changed_bit_is_found_and_named(
    manatee: Any, demo: Any, tmp_path: Path, name: str, failed: str
) -> None:
    found = _tampered(manatee, demo, tmp_path, name)
    assert failed in found
    if name.startswith("outputs/"):
        assert name.removeprefix("outputs/") in found["outputs"]


def test_a_changed_envelope_never_verifies(manatee: Any, demo: Any, tmp_path: Path) -> None:
    assert _tampered(manatee, demo, tmp_path, "run.dsse.json")


def test_a_folder_that_is_no_demo_is_left_alone(manatee: Any, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    done = manatee("demo", "--dir", str(tmp_path))
    assert done.returncode == 5
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("age,sex\n1,2\n", "column"),
        (
            "age,sex,bmi,children,smoker,region,charges\n19,female,27.9,0,yes,atlantis,16884.9\n",
            "region",
        ),
    ],
)
def test_a_table_that_breaks_its_contract_is_refused_without_quoting_it(
    manatee: Any, tmp_path: Path, text: str, said: str
) -> None:
    table = tmp_path / "table.csv"
    table.write_text(text)
    done = manatee("demo", "--dir", str(tmp_path / "demo"), "--table", str(table), "-o", "json")
    assert done.returncode == 2
    error = json.loads(done.stdout)["error"]
    assert said in error["message"] + error["hint"]
    assert "atlantis" not in done.stdout + done.stderr
    assert not (tmp_path / "demo").exists()


@pytest.mark.skipif(not REAL_TABLE.exists(), reason="the table is not distributed with the code")
def test_a_table_of_ones_own_is_labelled_real(manatee: Any, tmp_path: Path) -> None:
    done = manatee(
        "demo", "--dir", str(tmp_path / "demo"), "--table", str(REAL_TABLE), "-o", "json"
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["label"] == "real"
    settings = answer["verification"]["insecure_settings"]
    assert "insecure_release_real_data_below_hardware" in settings
    assert answer["figures"]["real"]["rmse_usd"] < answer["figures"]["real"]["rmse_of_the_mean_usd"]


def test_a_witness_cosigned_the_log_of_runs_and_the_trust_file_demands_it(demo: Any) -> None:
    (log,) = [c for c in demo.answer["verification"]["checks"] if c["name"] == "log"]
    assert log["outcome"] == "passed"
    assert "cosigned by 1 witness(es)" in log["reason"]
    trust = json.loads(demo.trust.read_text())
    assert trust["run_log"]["quorum"] == len(trust["run_log"]["witnesses"]) == 1


def test_a_bundle_whose_log_no_witness_cosigned_does_not_verify(
    demo: Any, tmp_path: Path, manatee: Any
) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(demo.bundle, bundle)
    proof = (bundle / "log.tlog-proof").read_bytes().splitlines(keepends=True)
    assert b"witness.demo.invalid" in proof[-1]
    (bundle / "log.tlog-proof").write_bytes(b"".join(proof[:-1]))
    done = manatee("verify", str(bundle), "--trust", str(demo.trust))
    assert done.returncode == 10
    assert "1 are needed" in done.stdout


def test_the_shareable_report_is_published_with_the_twin(demo: Any) -> None:
    prepared = demo.folder / "provider" / "insurance"
    publication = json.loads((prepared / "publication.json").read_text())
    assert publication["report"]["sha256"] == digest_file(prepared / "report.html")[0]
    assert publication["privacy_statement"]["epsilon"] == 1
