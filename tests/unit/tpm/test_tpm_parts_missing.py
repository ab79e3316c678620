"""Where a part of a TPM is missing or broken, nothing takes its place, and the error says what."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from manatee.errors import AttestationError
from manatee.tpm import SoftwareTpmAuthority, SoftwareTpms, VtpmDevice
from manatee.tpm import _software as software
from manatee.tpm._library import tss

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def test_a_missing_software_stack_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tpm2_pytss", None)
    with pytest.raises(AttestationError, match=r"pip install 'manatee\[tpm\]'"):
        tss()


@pytest.mark.parametrize("tool", ["swtpm_localca", "swtpm_setup"])
def test_a_missing_swtpm_names_the_package(
    tool: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in {"swtpm_localca", "swtpm_setup"} - {tool}:
        (tmp_path / name).touch(mode=0o755)
    monkeypatch.setitem(software._PATH, "PATH", str(tmp_path))
    tpms = SoftwareTpms(tmp_path / "home", lambda: NOW)
    with pytest.raises(AttestationError, match=rf"{tool} is not installed.*apt-get install swtpm"):
        tpms.root()


def test_a_manufacture_that_fails_leaves_no_tpm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("swtpm_localca", "swtpm_setup"):
        (tmp_path / name).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setitem(software._PATH, "PATH", f"{tmp_path}:/usr/bin:/bin")
    tpms = SoftwareTpms(tmp_path / "home", lambda: NOW)
    with pytest.raises(AttestationError, match="could not be manufactured"):
        tpms.root()
    assert not (tmp_path / "home" / "state").exists()


def test_an_address_without_tpm_is_an_error() -> None:
    pytest.importorskip("tpm2_pytss")
    for tcti in ("device:/nonexistent/tpmrm0", "swtpm:path=/nonexistent", "nonsense"):
        opening = VtpmDevice.open(tcti, Path("/nonexistent"))
        with pytest.raises(AttestationError, match="answer"):
            opening.__enter__()


# --- the authority's folder ---------------------------------------------------------------------


def test_an_authority_says_that_it_is_not_hardware_and_stays_the_same(tmp_path: Path) -> None:
    made = SoftwareTpmAuthority.open(tmp_path / "authority", NOW)
    again = SoftwareTpmAuthority.open(tmp_path / "authority", NOW + timedelta(days=1))
    assert made.root() == again.root()
    name = x509.load_der_x509_certificate(made.root()).subject.rfc4514_string()
    assert "software TPM\\, not hardware" in name
    assert os.stat(tmp_path / "authority" / "authority.key").st_mode & 0o777 == 0o600
    assert os.stat(tmp_path / "authority").st_mode & 0o777 == 0o700


def test_two_installations_have_two_authorities(tmp_path: Path) -> None:
    roots = {SoftwareTpmAuthority.open(tmp_path / name, NOW).root() for name in ("a", "b")}
    assert len(roots) == 2


@pytest.mark.parametrize("file", ["authority.key", "authority.pem"])
@pytest.mark.parametrize("content", [b"", b"not PEM", None])
def test_an_authority_that_cannot_be_read_is_not_replaced(
    tmp_path: Path, file: str, content: bytes | None
) -> None:
    SoftwareTpmAuthority.open(tmp_path, NOW)
    (tmp_path / file).unlink()
    if content is not None:
        (tmp_path / file).write_bytes(content)
    elif file == "authority.key":
        (tmp_path / file).mkdir()
    with pytest.raises(AttestationError, match="cannot be read"):
        SoftwareTpmAuthority.open(tmp_path, NOW)


def test_an_authoritys_key_and_certificate_must_belong_together(tmp_path: Path) -> None:
    SoftwareTpmAuthority.open(tmp_path / "a", NOW)
    SoftwareTpmAuthority.open(tmp_path / "b", NOW)
    (tmp_path / "a" / "authority.pem").replace(tmp_path / "b" / "authority.pem")
    with pytest.raises(AttestationError, match="belong together"):
        SoftwareTpmAuthority.open(tmp_path / "b", NOW)


def test_an_authority_with_a_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    SoftwareTpmAuthority.open(tmp_path, NOW)
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "authority.key").write_bytes(pem)
    with pytest.raises(AttestationError, match="another kind"):
        SoftwareTpmAuthority.open(tmp_path, NOW)
