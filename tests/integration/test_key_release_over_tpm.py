"""Key release over a real (software) TPM: three providers, three brokers, three policies."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from manatee.attestation import ReferenceValues, TpmReference
from manatee.errors import KeyDeniedError, SealingError
from manatee.keybroker import create_broker, install_policy, open_broker, trust_policy_key
from manatee.records import Tier, digest_bytes, to_base64
from manatee.sealing import new_session_keys
from manatee.testing import Asked, Providers
from manatee.tpm import SoftwareTpms, VtpmDevice

pytest.importorskip("tpm2_pytss", reason="the TPM software stack is not installed")
pytestmark = pytest.mark.xdist_group("tpm")
NAMES = ("clinic", "insurer", "registry")


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture(scope="module")
def tpms(tmp_path_factory: pytest.TempPathFactory) -> SoftwareTpms:
    return SoftwareTpms(tmp_path_factory.mktemp("tpm"), now)


@pytest.fixture
def providers(tmp_path: Path, tpms: SoftwareTpms) -> Providers:
    return Providers(tmp_path, NAMES, root=tpms.root(), clock=now)


@pytest.fixture
def device(
    providers: Providers, tpms: SoftwareTpms, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[VtpmDevice]:
    with tpms.power_on(tmp_path_factory.mktemp("r")) as opened:
        opened.measure_runtime(providers.places[0].runtime_digest)
        opened.measure_job(providers.job_digest)
        yield opened


def refusal(providers: Providers, broker: object, asked: Asked) -> str:
    with pytest.raises(KeyDeniedError) as error:
        providers.release(broker, asked)  # type: ignore[arg-type]
    return error.value.check


def test_three_providers_release_their_keys_to_one_attested_job(
    providers: Providers, device: VtpmDevice
) -> None:
    for place in providers.places:
        broker = providers.broker(place)
        asked = providers.ask(place, broker, device.quote)
        answer = providers.release(broker, asked)
        assert answer.tier == "software-tpm"
        assert answer.insecure_settings == ()
        assert place.open_keys(asked, answer) == [place.data_key]


def test_one_provider_s_stricter_policy_stops_its_own_key_alone(
    providers: Providers, device: VtpmDevice
) -> None:
    lenient, strict, third = providers.places
    broker = providers.broker(strict, minimum_tier=Tier.HARDWARE)
    assert "tier" in refusal(providers, broker, providers.ask(strict, broker, device.quote))
    for place in (lenient, third):
        own = providers.broker(place)
        assert providers.release(own, providers.ask(place, own, device.quote)).keys


def test_real_data_is_never_released_to_a_software_tpm(
    providers: Providers, device: VtpmDevice
) -> None:
    place = providers.places[0]
    place.dataset = place.make_dataset("patients", label="real")
    uses = (place.use(place.dataset), *place.manifest.datasets[1:])
    changed = msgspec.structs.replace(place.manifest, datasets=uses)
    for item in providers.places:
        item.manifest = changed
    broker = providers.broker(place)
    asked = providers.ask(place, broker, device.quote)
    assert refusal(providers, broker, asked) in {"label", "job"}


def test_evidence_for_one_provider_is_nothing_to_another(
    providers: Providers, device: VtpmDevice
) -> None:
    first, second, _ = providers.places
    brokers = providers.broker(first), providers.broker(second)
    for_first = providers.ask(first, brokers[0], device.quote)
    asked = providers.ask(second, brokers[1], device.quote, evidence=for_first.request.evidence)
    assert refusal(providers, brokers[1], asked) == "binding"


def test_evidence_of_the_result_releases_no_key(providers: Providers, device: VtpmDevice) -> None:
    place = providers.places[0]
    broker = providers.broker(place)
    asked = providers.ask(place, broker, device.quote, purpose="result")
    assert refusal(providers, broker, asked) == "binding"


def test_a_replayed_request_and_a_swapped_session_key_are_refused(
    providers: Providers, device: VtpmDevice
) -> None:
    place = providers.places[0]
    broker = providers.broker(place)
    asked = providers.ask(place, broker, device.quote)
    answer = providers.release(broker, asked)
    assert refusal(providers, broker, asked) == "nonce"
    private, public = new_session_keys()
    swapped = providers.ask(place, broker, device.quote, session_key=to_base64(public))
    assert refusal(providers, broker, swapped) == "binding"
    with pytest.raises(SealingError):
        place.open_keys(Asked(asked.request, private), answer)


def test_a_guest_that_was_measured_to_run_another_job_gets_nothing(
    providers: Providers, tpms: SoftwareTpms, tmp_path: Path
) -> None:
    place = providers.places[0]
    broker = providers.broker(place)
    (tmp_path / "r").mkdir()
    with tpms.power_on(tmp_path / "r") as other:
        other.measure_runtime(place.runtime_digest)
        other.measure_job(digest_bytes(b"another job"))
        assert refusal(providers, broker, providers.ask(place, broker, other.quote)) == "job"


def test_a_register_extended_after_the_start_is_seen(
    providers: Providers, device: VtpmDevice
) -> None:
    place = providers.places[0]
    broker = providers.broker(place)
    device.measure_job(providers.job_digest)
    assert refusal(providers, broker, providers.ask(place, broker, device.quote)) == "job"


def test_an_unmeasured_runtime_is_refused(
    providers: Providers, tpms: SoftwareTpms, tmp_path: Path
) -> None:
    place = providers.places[0]
    broker = providers.broker(place)
    (tmp_path / "r").mkdir()
    with tpms.power_on(tmp_path / "r") as other:
        other.measure_job(providers.job_digest)
        assert refusal(providers, broker, providers.ask(place, broker, other.quote)) == "runtime"


def test_a_tpm_of_another_installation_is_refused(providers: Providers, tmp_path: Path) -> None:
    place = providers.places[0]
    broker = providers.broker(place)
    (tmp_path / "r").mkdir()
    with SoftwareTpms(tmp_path / "foreign", now).power_on(tmp_path / "r") as foreign:
        foreign.measure_runtime(place.runtime_digest)
        foreign.measure_job(providers.job_digest)
        assert refusal(providers, broker, providers.ask(place, broker, foreign.quote)) == "root"


def test_after_the_attestation_key_was_rotated_the_old_keys_quotes_are_refused(
    providers: Providers, tpms: SoftwareTpms, tmp_path: Path
) -> None:
    """The broker serves on; its provider gives it the new authority between two jobs."""
    place = providers.places[0]
    folder, (old, run) = tmp_path / "served", (tmp_path / "o", tmp_path / "r")
    old.mkdir()
    run.mkdir()
    place.custody = create_broker(folder, place.broker_id)
    place.dataset = place.make_dataset(place.dataset.name)
    trust_policy_key(folder, place.provider, place.policy_key())

    def install(version: int, root: bytes) -> None:
        references = ReferenceValues(
            runtime_digests=(place.runtime_digest,),
            roots={"software-tpm": (to_base64(root),)},
            tpm=TpmReference(),
        )
        signed = place.signed_policy(version=version, minimum_tier=Tier.SOFTWARE_TPM)
        install_policy(folder, signed, references, clock=now)

    def submit(number: int) -> None:
        uses = (place.use(place.dataset), *place.manifest.datasets[1:])
        changed = msgspec.structs.replace(place.manifest, datasets=uses, submission=number)
        for item in providers.places:
            item.manifest = changed

    def measured(device: VtpmDevice) -> VtpmDevice:
        device.measure_runtime(place.runtime_digest)
        device.measure_job(providers.job_digest)
        return device

    install(1, tpms.root())
    broker = open_broker(folder, clock=now, log=lambda _event, _fields: None)
    submit(1)
    with tpms.power_on(old) as first:
        asked = providers.ask(place, broker, measured(first).quote)
        assert place.open_keys(asked, providers.release(broker, asked)) == [place.data_key]
    rotated = SoftwareTpms(tmp_path / "rotated", now)
    install(2, rotated.root())
    submit(2)
    with tpms.power_on(old) as first:
        asked = providers.ask(place, broker, measured(first).quote)
        assert refusal(providers, broker, asked) == "root"
    with rotated.power_on(run) as second:
        asked = providers.ask(place, broker, measured(second).quote)
        assert place.open_keys(asked, providers.release(broker, asked)) == [place.data_key]
