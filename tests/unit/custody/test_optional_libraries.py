"""A place whose library is not installed says which extra to install; the rest works without."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from manatee.custody import (
    AwsKmsSettings,
    AzureKeyVaultSettings,
    GcpKmsSettings,
    KeySettings,
    Pkcs11Settings,
    VaultTransitSettings,
    create_custody,
)
from manatee.errors import SettingsError

PLACES: dict[str, tuple[str, KeySettings]] = {
    "custody-pkcs11": (
        "pkcs11",
        Pkcs11Settings(id="k", module="m", token="t", key_label="k", pin_file="p"),
    ),
    "custody-aws": ("boto3.session", AwsKmsSettings(id="k", key_arn="arn:aws:kms", region="r")),
    "custody-gcp": ("google.cloud", GcpKmsSettings(id="k", key_name="projects/p")),
    "custody-azure": (
        "azure.keyvault.keys.crypto",
        AzureKeyVaultSettings(id="k", key_url="https://v.example/keys/k/" + "0" * 32),
    ),
    "custody-vault": (
        "hvac",
        VaultTransitSettings(id="k", url="https://v.example", key_name="k", token_file="t"),
    ),
}


@pytest.mark.parametrize("extra", PLACES)
def test_a_missing_library_names_its_extra_and_writes_nothing(
    extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, settings = PLACES[extra]
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(SettingsError) as caught:
        create_custody(tmp_path / "broker", settings)
    assert f"manatee[{extra}]" in caught.value.hint
    assert not (tmp_path / "broker" / "custody.json").exists()


def test_the_package_loads_no_cloud_library() -> None:
    script = (
        "import sys, manatee.custody; "
        "assert not {'boto3', 'botocore', 'google.cloud', 'azure', 'hvac', 'pkcs11', 'requests'}"
        " & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
