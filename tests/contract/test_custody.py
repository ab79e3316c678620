"""Key custody: what every place keeps, run against the real thing or a faithful local server."""

from __future__ import annotations

import base64
import logging
import subprocess
from collections.abc import Iterator
from pathlib import Path

import boto3
import msgspec
import pkcs11
import pytest
from moto.server import ThreadedMotoServer

from manatee.custody import (
    MAX_WRAPPED_BYTES,
    AwsKmsSettings,
    AzureKeyVaultSettings,
    GcpKmsSettings,
    KeyRing,
    KeySettings,
    Pkcs11Settings,
    VaultTransitSettings,
    add_key,
    create_custody,
    open_custody,
    retire_key,
)
from manatee.custody._pkcs11 import Pkcs11Key
from manatee.errors import CustodyDeniedError, ManateeError, SealingError
from manatee.testing._fake_gcp_kms import FakeGcpKms
from manatee.testing._fake_key_vault import FakeCredential, FakeKeyVault, loopback_tls
from manatee.testing._fake_service import serving
from manatee.testing._fake_transit import FakeTransit

KEY = bytes(range(100, 132))
CONTEXT = b"the data set 'claims', real, of the insurer"
KINDS = ("age", "pkcs11", "aws-kms", "gcp-kms", "azure-key-vault", "vault-transit")
SOFTHSM = "/usr/lib/softhsm/libsofthsm2.so"
PIN = "739154"

Keys = list[KeySettings | None]
"""Settings of two keys of one place; None is a fresh age identity."""


@pytest.fixture
def age() -> Keys:
    return [None, None]


@pytest.fixture
def pkcs11_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Keys:
    (tmp_path / "tokens").mkdir()
    (tmp_path / "softhsm2.conf").write_text(
        f"directories.tokendir = {tmp_path}/tokens\nobjectstore.backend = file\n"
    )
    monkeypatch.setenv("SOFTHSM2_CONF", str(tmp_path / "softhsm2.conf"))
    command = ["softhsm2-util", "--init-token", "--free", "--label", "manatee"]
    subprocess.run(
        [*command, "--pin", PIN, "--so-pin", "26535897"], check=True, capture_output=True
    )
    pkcs11.lib(SOFTHSM).reinitialize()
    (tmp_path / "pin").touch(0o600)
    (tmp_path / "pin").write_text(PIN)
    made: Keys = []
    for number in (1, 2):
        settings = Pkcs11Settings(
            id=f"hsm-{number}",
            module=SOFTHSM,
            token="manatee",
            key_label=f"kek {number}",
            pin_file=str(tmp_path / "pin"),
        )
        Pkcs11Key(settings, pin_file=tmp_path / "pin").generate()
        made.append(settings)
    return made


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def aws(moto: str, monkeypatch: pytest.MonkeyPatch) -> Keys:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    client = boto3.client("kms", region_name="eu-central-1", endpoint_url=moto)
    return [
        AwsKmsSettings(
            id=f"aws-{number}",
            key_arn=client.create_key(KeyUsage="ENCRYPT_DECRYPT")["KeyMetadata"]["Arn"],
            region="eu-central-1",
            endpoint=moto,
        )
        for number in (1, 2)
    ]


@pytest.fixture
def gcp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Keys]:
    # a look-up beside the point, in a thread of its own, that only Google itself can answer
    monkeypatch.setattr(
        "google.auth.credentials.CredentialsWithRegionalAccessBoundary"
        "._is_regional_access_boundary_lookup_required",
        lambda _: False,
    )
    names = [f"projects/p/locations/eu/keyRings/r/cryptoKeys/k{number}" for number in (1, 2)]
    service = FakeGcpKms(*names)
    with serving(service) as url:
        service.write_key_file(tmp_path / "google.json")
        file = str(tmp_path / "google.json")
        yield [
            GcpKmsSettings(id=f"gcp-{number}", key_name=name, credentials_file=file, endpoint=url)
            for number, name in enumerate(names)
        ]


@pytest.fixture
def azure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Keys]:
    # the chain that finds credentials is Azure's and needs Azure; the challenge is answered
    monkeypatch.setattr("azure.identity.DefaultAzureCredential", lambda **_: FakeCredential())
    context, trusted = loopback_tls(tmp_path / "tls")
    service = FakeKeyVault("k1", "k2")
    with serving(service, tls=context):
        yield [
            AzureKeyVaultSettings(
                id=f"azure-{name}", key_url=service.key_url(name), ca_file=str(trusted)
            )
            for name in ("k1", "k2")
        ]


@pytest.fixture
def transit(tmp_path: Path) -> Iterator[Keys]:
    service = FakeTransit("k1", "k2")
    service.write_token_file(tmp_path / "token")
    with serving(service) as url:
        yield [
            VaultTransitSettings(
                id=f"vault-{name}", url=url, key_name=name, token_file=str(tmp_path / "token")
            )
            for name in ("k1", "k2")
        ]


FIXTURES = dict(zip(KINDS, ("age", "pkcs11_keys", "aws", "gcp", "azure", "transit"), strict=True))


@pytest.fixture(params=KINDS)
def keys(request: pytest.FixtureRequest) -> Keys:
    found: Keys = request.getfixturevalue(FIXTURES[request.param])
    return found


@pytest.fixture
def refused(keys: Keys) -> tuple[type[ManateeError], ...]:
    """Return the errors of a blob that does not belong to a key."""
    # where AWS KMS says IncorrectKeyException, moto says that access is denied
    if isinstance(keys[0], AwsKmsSettings):
        return (SealingError, CustodyDeniedError)
    return (SealingError,)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "broker"


@pytest.fixture
def custody(keys: Keys, folder: Path) -> KeyRing:
    return create_custody(folder, keys[0])


def test_what_was_wrapped_is_unwrapped_also_by_another_process(
    custody: KeyRing, folder: Path
) -> None:
    wrapped = custody.wrap(KEY, CONTEXT)
    assert KEY not in wrapped
    assert len(wrapped) <= MAX_WRAPPED_BYTES
    assert custody.unwrap(wrapped, CONTEXT) == KEY
    assert open_custody(folder).unwrap(wrapped, CONTEXT) == KEY


def test_wrapping_twice_never_gives_the_same_bytes(custody: KeyRing) -> None:
    assert custody.wrap(KEY, CONTEXT) != custody.wrap(KEY, CONTEXT)


@pytest.mark.parametrize("context", [b"", CONTEXT[:-1], CONTEXT + b"\0"])
def test_another_context_opens_nothing(custody: KeyRing, context: bytes) -> None:
    with pytest.raises(SealingError):
        custody.unwrap(custody.wrap(KEY, CONTEXT), context)


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_only_keys_of_32_bytes_are_wrapped(custody: KeyRing, size: int) -> None:
    with pytest.raises(SealingError):
        custody.wrap(bytes(size), CONTEXT)


def test_no_flipped_bit_and_no_other_length_opens(
    custody: KeyRing, refused: tuple[type[ManateeError], ...]
) -> None:
    wrapped = custody.wrap(KEY, CONTEXT)
    # every byte of the frame, and a good sample of what the place made
    positions = [*range(60), *range(60, len(wrapped), 17), len(wrapped) - 1]
    damaged = [wrapped[:size] for size in positions] + [wrapped + b"\0", b""]
    for position in positions:
        if position < len(wrapped):
            flipped = bytearray(wrapped)
            flipped[position] ^= 1 << position % 8
            damaged.append(bytes(flipped))
    for blob in damaged:
        with pytest.raises(refused):
            custody.unwrap(blob, CONTEXT)


def test_another_key_of_the_same_place_opens_nothing(
    custody: KeyRing, keys: Keys, tmp_path: Path, refused: tuple[type[ManateeError], ...]
) -> None:
    other = create_custody(tmp_path / "other", keys[1])
    with pytest.raises(refused):
        other.unwrap(custody.wrap(KEY, CONTEXT), CONTEXT)


def test_a_key_that_took_the_name_of_another_opens_nothing(
    custody: KeyRing, keys: Keys, tmp_path: Path, refused: tuple[type[ManateeError], ...]
) -> None:
    if keys[0] is None or keys[1] is None:
        pytest.skip("an age identity's name is made from its recipient")
    posing = create_custody(tmp_path / "posing", msgspec.structs.replace(keys[1], id=keys[0].id))
    with pytest.raises(refused):
        posing.unwrap(custody.wrap(KEY, CONTEXT), CONTEXT)


def test_rotation_keeps_old_keys_and_wraps_under_the_new(
    custody: KeyRing, keys: Keys, folder: Path
) -> None:
    old, first = custody.wrap(KEY, CONTEXT), custody.describe().key_id
    rotated = add_key(folder, keys[1])
    assert rotated.describe().key_id != first
    assert rotated.unwrap(old, CONTEXT) == KEY
    moved = rotated.rewrap(old, CONTEXT)
    assert moved != old
    assert rotated.rewrap(moved, CONTEXT) == moved
    with pytest.raises(SealingError):
        rotated.rewrap(old, b"another data set")

    retired = retire_key(folder, first)
    assert retired.unwrap(moved, CONTEXT) == KEY
    for use in (retired.unwrap, retired.rewrap):
        with pytest.raises(CustodyDeniedError, match="retired"):
            use(old, CONTEXT)
    assert retire_key(folder, first, retired=False).unwrap(old, CONTEXT) == KEY


def test_a_description_says_where_the_key_is_and_whether_it_can_leave(custody: KeyRing) -> None:
    found = custody.describe()
    assert found.kind in KINDS
    assert found.where
    assert found.key
    assert found.exportable is (found.kind == "age")


def test_no_secret_stands_in_a_repr_a_message_or_a_debug_log(
    custody: KeyRing, folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    wrapped = custody.wrap(KEY, CONTEXT)
    custody.unwrap(wrapped, CONTEXT)
    said = [repr(custody), repr(custody.describe()), (folder / "custody.json").read_text()]
    said += [repr(held) + repr(held.key) for held in custody._keys.values()]
    with pytest.raises(SealingError) as caught:
        custody.unwrap(wrapped, b"")
    said += [str(caught.value), repr(caught.value), caplog.text]
    said += [str(vars(record)) for record in caplog.records]
    secrets: list[str] = [base64.b64encode(KEY).decode(), KEY.hex(), str(KEY)[2:-1]]
    for name in ("pin", "token", "google.json"):
        if (tmp_path / name).exists():
            secrets.append((tmp_path / name).read_text().strip())
    secrets += [file.read_text().strip() for file in folder.glob("*.identity")]
    for secret in secrets:
        assert not [text for text in said if secret in text]
