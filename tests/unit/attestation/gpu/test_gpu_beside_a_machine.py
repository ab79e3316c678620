"""GPU evidence stands beside a machine's, bound to the same session, and never alone."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import msgspec
import pytest

from manatee.attestation import ReferenceValues, SimulatedClaims, SimulatedDevice
from manatee.attestation._gpu.payload import MAX_PAYLOAD_BYTES
from manatee.errors import KeyDeniedError
from manatee.keybroker._guest import Guest, appraise_guest
from manatee.records import (
    MAX_EVIDENCE_BYTES,
    Evidence,
    binding,
    digest_bytes,
    evidence_nonce,
    report_data,
    to_base64,
)

sys.path.insert(0, str(Path(__file__).parent))
from gpu_forge import AT, MEDIA_TYPE, Gpu

RUNTIME, JOB = digest_bytes(b"runtime"), digest_bytes(b"job")


def session(nonce: bytes) -> bytes:
    return binding(
        purpose="key-release", audience="broker", nonce=nonce, job_digest=JOB, session_key=bytes(32)
    )


OURS, ANOTHER = session(bytes(32)), session(b"\1" * 32)


@pytest.fixture
def device(tmp_path: Path) -> SimulatedDevice:
    return SimulatedDevice.open(tmp_path / "device", lambda: AT)


def machine(device: SimulatedDevice, bound: bytes = OURS) -> Evidence:
    claims = SimulatedClaims(runtime_digest=RUNTIME, job_digest=JOB, debug=False)
    return device.quote(report_data(bound), claims)


def gpus(*listed: Gpu, bound: bytes = OURS) -> Evidence:
    for gpu in listed:
        gpu.nonce = evidence_nonce(bound)
    data = json.dumps([gpu.item() for gpu in listed]).encode()
    return Evidence(media_type=MEDIA_TYPE, payload=to_base64(data))


def ask(device: SimulatedDevice, gpu: Gpu, *evidence: Evidence) -> Guest:
    given: ReferenceValues = msgspec.structs.replace(
        gpu.references(),
        runtime_digests=(RUNTIME,),
        roots={**gpu.references().roots, "simulated": (to_base64(device.root()),)},
    )
    return appraise_guest(
        evidence,
        kind="simulated",
        at=AT,
        bound=OURS,
        reference_values=given,
        endorsements=gpu.collateral(),
        max_age_seconds=60,
    )


def test_a_machine_with_a_gpu_of_the_same_session_is_accepted(device: SimulatedDevice) -> None:
    gpu = Gpu()
    guest = ask(device, gpu, machine(device), gpus(gpu))
    assert guest.gpu
    assert guest.result.kind == "simulated"
    assert not ask(device, gpu, machine(device)).gpu


def test_gpu_and_cpu_nonces_that_differ_are_refused(device: SimulatedDevice) -> None:
    gpu = Gpu()
    other = gpus(gpu, bound=ANOTHER)
    with pytest.raises(KeyDeniedError) as refused:
        ask(device, gpu, machine(device), other)
    assert refused.value.check == "binding"
    with pytest.raises(KeyDeniedError) as refused:
        ask(device, gpu, machine(device, ANOTHER), gpus(gpu))
    assert refused.value.check == "binding"


def test_a_gpu_alone_is_no_machine(device: SimulatedDevice) -> None:
    gpu = Gpu()
    with pytest.raises(KeyDeniedError, match="one machine"):
        ask(device, gpu, gpus(gpu))


def test_gpu_evidence_twice_is_refused(device: SimulatedDevice) -> None:
    gpu = Gpu()
    with pytest.raises(KeyDeniedError, match="one machine"):
        ask(device, gpu, machine(device), gpus(gpu), gpus(gpu))


def test_without_collateral_the_refusal_says_what_to_fetch(device: SimulatedDevice) -> None:
    gpu = Gpu()
    gpu.documents = dict.clear
    with pytest.raises(KeyDeniedError, match="NV_GPU_DRIVER") as refused:
        ask(device, gpu, machine(device), gpus(gpu))
    assert refused.value.check == "collateral"


def test_eight_gpus_pass_the_brokers_size_cap_and_other_evidence_keeps_its_own(
    device: SimulatedDevice,
) -> None:
    gpu = Gpu()
    item = gpus(gpu)
    padded = to_base64(json.dumps([gpu.item()]).encode().ljust(MAX_PAYLOAD_BYTES))
    large = Evidence(media_type=item.media_type, payload=padded)
    assert ask(device, gpu, machine(device), large).gpu
    over = Evidence(media_type=item.media_type, payload=to_base64(bytes(MAX_PAYLOAD_BYTES + 4)))
    with pytest.raises(KeyDeniedError, match="too large"):
        ask(device, gpu, machine(device), over)
    kept = machine(device)
    bloated = Evidence(media_type=kept.media_type, payload=to_base64(bytes(MAX_EVIDENCE_BYTES + 4)))
    with pytest.raises(KeyDeniedError, match="too large"):
        ask(device, gpu, bloated)
