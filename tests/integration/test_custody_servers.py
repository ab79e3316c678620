"""Key custody when its place fails: throttled, forbidden, broken, slow, silent, nonsense.

The services are local and faithful (`manatee.testing`); the libraries are the vendors' own.
"""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pkcs11
import pytest

from manatee.custody import (
    AwsKmsSettings,
    AzureKeyVaultSettings,
    GcpKmsSettings,
    KeyRing,
    KeySettings,
    Pkcs11Settings,
    VaultTransitSettings,
    open_custody,
)
from manatee.custody import create_custody as create
from manatee.errors import (
    CustodyDeniedError,
    CustodyUnavailableError,
    ManateeError,
    SealingError,
    SettingsError,
)
from manatee.testing._fake_aws_kms import FakeAwsKms
from manatee.testing._fake_gcp_kms import FakeGcpKms
from manatee.testing._fake_key_vault import FakeCredential, FakeKeyVault, loopback_tls
from manatee.testing._fake_service import FakeService, serving
from manatee.testing._fake_transit import FakeTransit

KEY = bytes(range(100, 132))
SOFTHSM = "/usr/lib/softhsm/libsofthsm2.so"
GOOGLE_KEY = "projects/p/locations/eu/keyRings/r/cryptoKeys/k"
ARN = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"


@dataclass
class Place:
    """A custody and the service behind it, with one key already wrapped."""

    service: Any
    custody: KeyRing
    folder: Path
    wrapped: bytes = b""
    pauses: int = 0


@pytest.fixture
def start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[FakeService], Place]]:
    monkeypatch.setattr("azure.identity.DefaultAzureCredential", lambda **_: FakeCredential())
    monkeypatch.setattr(
        "google.auth.credentials.CredentialsWithRegionalAccessBoundary"
        "._is_regional_access_boundary_lookup_required",
        lambda _: False,
    )
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    for module in ("aws_kms", "gcp_kms", "azure_key_vault", "vault_transit"):
        monkeypatch.setattr(f"manatee.custody._{module}.READ_SECONDS", 0.25)
    with ExitStack() as stack:

        def begin(service: FakeService) -> Place:
            tls, trusted = None, None
            if isinstance(service, FakeKeyVault):
                tls, trusted = loopback_tls(tmp_path / "tls")
            url = stack.enter_context(serving(service, tls=tls))
            settings: KeySettings
            if isinstance(service, FakeAwsKms):
                settings = AwsKmsSettings(id="k", key_arn=ARN, region="eu-central-1", endpoint=url)
            elif isinstance(service, FakeGcpKms):
                service.write_key_file(tmp_path / "google.json")
                settings = GcpKmsSettings(
                    id="k", key_name=GOOGLE_KEY, credentials_file="../google.json", endpoint=url
                )
            elif isinstance(service, FakeKeyVault):
                settings = AzureKeyVaultSettings(
                    id="k", key_url=service.key_url("k"), ca_file=str(trusted)
                )
            else:
                assert isinstance(service, FakeTransit)
                service.write_token_file(tmp_path / "token")
                settings = VaultTransitSettings(
                    id="k", url=url, key_name="k", token_file="../token"
                )
            custody = create(tmp_path / "broker", settings)
            place = Place(service, custody, tmp_path / "broker")
            place.wrapped = custody.wrap(KEY, b"context")

            def pause(_seconds: float) -> None:
                place.pauses += 1

            custody._pause = pause
            return place

        yield begin


SERVICES: dict[str, Callable[[], FakeService]] = {
    "aws-kms": FakeAwsKms,
    "gcp-kms": lambda: FakeGcpKms(GOOGLE_KEY),
    "azure-key-vault": lambda: FakeKeyVault("k"),
    "vault-transit": lambda: FakeTransit("k"),
}


@pytest.fixture(params=SERVICES)
def place(request: pytest.FixtureRequest, start: Callable[[FakeService], Place]) -> Place:
    return start(SERVICES[request.param]())


@pytest.mark.parametrize("failure", ["throttled", "broken", "slow", "nonsense", "empty", "hung-up"])
def test_a_place_that_fails_is_unavailable_after_three_tries(place: Place, failure: str) -> None:
    place.service.failure = failure
    before = len(place.service.requests)
    with pytest.raises(CustodyUnavailableError):
        place.custody.unwrap(place.wrapped, b"context")
    assert len(place.service.requests) - before == 3
    assert place.pauses == 2
    place.service.failure = None
    assert place.custody.unwrap(place.wrapped, b"context") == KEY


def test_a_place_that_fails_once_is_asked_again(place: Place) -> None:
    place.service.failure, place.service.failures_left = "throttled", 1
    assert place.custody.unwrap(place.wrapped, b"context") == KEY
    assert place.pauses == 1


def test_a_missing_permission_is_denied_at_once(place: Place) -> None:
    place.service.failure = "forbidden"
    with pytest.raises(CustodyDeniedError):
        place.custody.unwrap(place.wrapped, b"context")
    assert place.pauses == 0


@pytest.mark.parametrize(
    "failure", ["throttled", "forbidden", "broken", "nonsense", "empty", "hung-up"]
)
def test_a_failing_place_wraps_nothing_either(place: Place, failure: str) -> None:
    place.service.failure = failure
    if isinstance(place.service, FakeKeyVault):
        # a client that has the public half wraps by itself: take one that has not
        place.custody = open_custody(place.folder)
        place.custody._pause = lambda _seconds: None
    with pytest.raises((CustodyUnavailableError, CustodyDeniedError)):
        place.custody.wrap(KEY, b"context")


@pytest.mark.parametrize("name", ["aws-kms", "azure-key-vault", "vault-transit"])
def test_a_redirect_carries_no_token_and_no_key_to_another_address(
    start: Callable[[FakeService], Place], tmp_path: Path, name: str
) -> None:
    place = start(SERVICES[name]())
    stranger, tls = FakeService(), None
    if name == "azure-key-vault":  # a client that would not follow to an address without TLS
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(tmp_path / "tls" / "loopback.pem", tmp_path / "tls" / "loopback.key")
    with serving(stranger, tls=tls) as url:
        place.service.elsewhere = url
        with pytest.raises(CustodyUnavailableError):
            place.custody.unwrap(place.wrapped, b"context")
    assert stranger.requests == []


def test_an_address_where_nobody_listens_is_unavailable(place: Place) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        text = (place.folder / "custody.json").read_text()
        used = place.service.url.rpartition(":")[2]
        (place.folder / "custody.json").write_text(text.replace(f":{used}", f":{port}"))
        away = open_custody(place.folder)
        away._pause = lambda _seconds: None
        with pytest.raises(CustodyUnavailableError):
            away.unwrap(place.wrapped, b"context")


# --- what only one place can get wrong ----------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("InvalidCiphertextException", SealingError),
        ("IncorrectKeyException", SealingError),
        ("DisabledException", CustodyDeniedError),
        ("KMSInvalidStateException", CustodyDeniedError),
        ("NotFoundException", CustodyDeniedError),
        ("UnrecognizedClientException", CustodyDeniedError),
        ("ThrottlingException", CustodyUnavailableError),
        ("KMSInternalException", CustodyUnavailableError),
        ("KeyUnavailableException", CustodyUnavailableError),
        ("SomethingNewException", CustodyUnavailableError),
    ],
)
def test_aws_error_codes_mean_what_the_reference_says(
    start: Callable[[FakeService], Place], code: str, expected: type[ManateeError]
) -> None:
    service = FakeAwsKms()
    place = start(service)
    service.code = code
    with pytest.raises(expected):
        place.custody.unwrap(place.wrapped, b"context")


def test_an_aws_answer_made_under_another_key_is_refused(
    start: Callable[[FakeService], Place],
) -> None:
    service = FakeAwsKms()
    place = start(service)
    service.answers_for = ARN.replace("1234abcd", "9999abcd")
    for use in (place.custody.wrap, place.custody.unwrap):
        with pytest.raises(CustodyUnavailableError, match="another key"):
            use(KEY if use == place.custody.wrap else place.wrapped, b"context")


def test_imported_key_material_is_called_exportable(start: Callable[[FakeService], Place]) -> None:
    service = FakeAwsKms()
    place = start(service)
    assert not place.custody.describe().exportable
    service.origin = "EXTERNAL"
    assert place.custody.describe().exportable


@pytest.mark.parametrize(
    "member",
    [
        "name",
        "ciphertext",
        "ciphertextCrc32c",
        "verifiedPlaintextCrc32c",
        "verifiedAdditionalAuthenticatedDataCrc32c",
    ],
)
def test_google_s_answer_to_encrypt_is_checked_in_every_part(
    start: Callable[[FakeService], Place], member: str
) -> None:
    service = FakeGcpKms(GOOGLE_KEY)
    place = start(service)
    service.damage = member
    with pytest.raises(CustodyUnavailableError):
        place.custody.wrap(KEY, b"context")


@pytest.mark.parametrize("member", ["plaintext", "plaintextCrc32c"])
def test_google_s_answer_to_decrypt_is_checked(
    start: Callable[[FakeService], Place], member: str
) -> None:
    service = FakeGcpKms(GOOGLE_KEY)
    place = start(service)
    service.damage = member
    with pytest.raises(CustodyUnavailableError, match="damaged"):
        place.custody.unwrap(place.wrapped, b"context")


def test_a_disabled_google_key_is_denied_and_no_damaged_blob(
    start: Callable[[FakeService], Place],
) -> None:
    service = FakeGcpKms(GOOGLE_KEY)
    place = start(service)
    service.disabled = True
    with pytest.raises(CustodyDeniedError, match="disabled"):
        place.custody.unwrap(place.wrapped, b"context")


def test_a_google_key_file_that_is_none_is_not_quoted(
    start: Callable[[FakeService], Place], tmp_path: Path
) -> None:
    place = start(FakeGcpKms(GOOGLE_KEY))
    for text in ("{}", "PRIVATE", json.dumps({"private_key": "PRIVATE"})):
        (tmp_path / "google.json").write_text(text)
        with pytest.raises(SettingsError) as caught:
            open_custody(place.folder).unwrap(place.wrapped, b"context")
        assert "PRIVATE" not in f"{caught.value!r} {caught.value.__cause__!r}"


def test_without_permission_to_get_the_public_half_azure_wraps_in_the_vault(
    start: Callable[[FakeService], Place],
) -> None:
    service = FakeKeyVault("k")
    service.may_get = False
    place = start(service)
    assert place.custody.unwrap(place.wrapped, b"context") == KEY
    assert [asked.path for asked in service.requests if "/wrapkey" in asked.path]


def test_an_azure_key_that_may_be_released_is_called_exportable(
    start: Callable[[FakeService], Place],
) -> None:
    service = FakeKeyVault("k")
    service.exportable = True
    assert start(service).custody.describe().exportable


def test_an_unknown_certificate_gets_no_key(
    start: Callable[[FakeService], Place], tmp_path: Path
) -> None:
    place = start(FakeKeyVault("k"))
    loopback_tls(tmp_path / "tls")  # another certificate for the clients, not for the server
    stranger = open_custody(place.folder)
    stranger._pause = lambda _seconds: None
    with pytest.raises(CustodyUnavailableError):
        stranger.unwrap(place.wrapped, b"context")


def test_a_transit_key_that_is_not_there_is_not_made_by_wrapping(
    start: Callable[[FakeService], Place],
) -> None:
    service = FakeTransit("k")
    place = start(service)
    del service.keys["k"]
    with pytest.raises(CustodyDeniedError):
        open_custody(place.folder).wrap(KEY, b"context")
    assert service.keys == {}


@pytest.mark.parametrize("key_type", ["rsa-4096", "aes128-cbc", ""])
def test_a_transit_key_that_takes_no_associated_data_is_not_used(
    start: Callable[[FakeService], Place], key_type: str
) -> None:
    service = FakeTransit("k")
    place = start(service)
    service.key_type = key_type
    with pytest.raises(SettingsError):
        open_custody(place.folder).wrap(KEY, b"context")


def test_a_transit_key_that_may_be_exported_is_called_so(
    start: Callable[[FakeService], Place],
) -> None:
    service = FakeTransit("k")
    service.exportable = True
    assert start(service).custody.describe().exportable


def test_the_vault_token_is_read_anew_and_a_wrong_one_is_denied(
    start: Callable[[FakeService], Place], tmp_path: Path
) -> None:
    place = start(FakeTransit("k"))
    genuine = (tmp_path / "token").read_text()
    (tmp_path / "token").write_text("hvs.other")
    with pytest.raises(CustodyDeniedError):
        place.custody.unwrap(place.wrapped, b"context")
    (tmp_path / "token").write_text(genuine)
    assert place.custody.unwrap(place.wrapped, b"context") == KEY


# --- a PKCS#11 token ----------------------------------------------------------------------------


@pytest.fixture
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pkcs11Settings:
    (tmp_path / "tokens").mkdir()
    (tmp_path / "softhsm2.conf").write_text(
        f"directories.tokendir = {tmp_path}/tokens\nobjectstore.backend = file\n"
    )
    monkeypatch.setenv("SOFTHSM2_CONF", str(tmp_path / "softhsm2.conf"))
    command = "softhsm2-util --init-token --free --label t --pin 739154 --so-pin 26535897"
    subprocess.run(command.split(), check=True, capture_output=True)
    pkcs11.lib(SOFTHSM).reinitialize()
    (tmp_path / "pin").touch(0o600)
    (tmp_path / "pin").write_text("739154")
    return Pkcs11Settings(
        id="k", module=SOFTHSM, token="t", key_label="kek", pin_file=str(tmp_path / "pin")
    )


def make_key(token: Pkcs11Settings, bits: int = 256, **template: bool) -> None:
    named = {getattr(pkcs11.Attribute, name.upper()): on for name, on in template.items()}
    with pkcs11.lib(SOFTHSM).get_token(token_label="t").open(rw=True, user_pin="739154") as session:
        session.generate_key(
            pkcs11.KeyType.AES, bits, label=token.key_label, store=True, template=named
        )


@pytest.mark.parametrize(
    "template",
    [
        {"sensitive": False, "extractable": False},
        {"sensitive": True, "extractable": True},
    ],
)
def test_a_key_that_could_be_read_out_of_its_token_is_not_used(
    token: Pkcs11Settings, tmp_path: Path, template: dict[str, bool]
) -> None:
    make_key(token, **template)
    custody = create(tmp_path / "broker", token)
    for use in (lambda: custody.wrap(KEY, b""), custody.describe):
        with pytest.raises(SettingsError, match="read out"):
            use()


def test_a_shorter_key_is_not_used(token: Pkcs11Settings, tmp_path: Path) -> None:
    make_key(token, 128, sensitive=True, extractable=False)
    with pytest.raises(SettingsError, match="AES-256"):
        create(tmp_path / "broker", token).wrap(KEY, b"")


@pytest.mark.parametrize("number", [0, 2])
def test_no_key_or_two_of_one_label_are_refused(
    token: Pkcs11Settings, tmp_path: Path, number: int
) -> None:
    for _ in range(number):
        make_key(token, sensitive=True, extractable=False)
    with pytest.raises(SettingsError, match="not one"):
        create(tmp_path / "broker", token).wrap(KEY, b"")


def test_a_wrong_pin_is_tried_once_so_the_token_does_not_lock(
    token: Pkcs11Settings, tmp_path: Path
) -> None:
    make_key(token, sensitive=True, extractable=False)
    custody = create(tmp_path / "broker", token)
    (tmp_path / "pin").write_text("000000")
    with pytest.raises(CustodyDeniedError) as caught:
        custody.wrap(KEY, b"")
    assert "000000" not in f"{caught.value!r} {caught.value.__cause__!r}"
    (tmp_path / "pin").write_text("739154")
    with pytest.raises(CustodyDeniedError, match="not tried again"):
        custody.wrap(KEY, b"")
    assert open_custody(tmp_path / "broker").wrap(KEY, b"")


@pytest.mark.parametrize("change", [{"token": "absent"}, {"module": "/nowhere/module.so"}])
def test_a_token_or_module_that_is_away_is_unavailable(
    token: Pkcs11Settings, tmp_path: Path, change: dict[str, str]
) -> None:
    import msgspec

    custody = create(tmp_path / "broker", msgspec.structs.replace(token, **change))
    custody._pause = lambda _seconds: None
    with pytest.raises(CustodyUnavailableError):
        custody.wrap(KEY, b"")
