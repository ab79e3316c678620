"""A real software TPM (swtpm): manufactured, activated, measured into, quoted and attacked."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from manatee._clock import monotonic, system_clock
from manatee.attestation import (
    AttestationResult,
    ExpectedBinding,
    Mark,
    ReferenceValues,
    TpmReference,
    appraise,
    make_credential,
    parse_tpm_public,
)
from manatee.attestation._tpm.payload import read_payload
from manatee.attestation._tpm.quote import QuoteInfo, check_not_before, parse_attest
from manatee.errors import AppraisalRefusedError, AttestationError
from manatee.records import (
    Evidence,
    Tier,
    binding,
    canonical_json,
    digest_bytes,
    evidence_nonce,
    to_base64,
    unbase64,
)
from manatee.tpm import SoftwareTpmAuthority, SoftwareTpms, VtpmDevice
from manatee.tpm._authority import (
    EK_CERTIFICATE_INDEX,
    EK_HANDLE,
    _certified,
    _read_index,
    activate,
    endorsement_key,
)
from manatee.tpm._device import connected, create_attestation_key, extend, translated
from manatee.tpm._software import _PATH, _roots

MISSING = [name for name in ("swtpm", "swtpm_setup", "setpriv") if shutil.which(name) is None]
MISSING += [] if find_spec("tpm2_pytss") else ["tpm2_pytss"]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")

RUNTIME = digest_bytes(b"runtime")
JOB = digest_bytes(b"job")
NONCE = evidence_nonce(b"this session")
ECC_EK_HANDLE = 0x81010016
"""Where swtpm's maker keeps the endorsement key on P-384."""


@pytest.fixture(scope="module")
def tpms(tmp_path_factory: pytest.TempPathFactory) -> SoftwareTpms:
    made = SoftwareTpms(tmp_path_factory.mktemp("installation"), system_clock)
    made.manufacture()
    return made


@pytest.fixture(scope="module")
def other_tpms(tmp_path_factory: pytest.TempPathFactory) -> SoftwareTpms:
    return SoftwareTpms(tmp_path_factory.mktemp("another"), system_clock)


@pytest.fixture
def run_folder() -> Iterator[Path]:
    """A private folder, short enough for a socket."""
    with TemporaryDirectory(prefix="mt-") as short:
        yield Path(short)


@pytest.fixture
def device(tpms: SoftwareTpms, run_folder: Path) -> Iterator[VtpmDevice]:
    with tpms.power_on(run_folder) as found:
        yield found


def tcti(run_folder: Path) -> str:
    return f"swtpm:path={run_folder}/tpm/s"


def measured(device: VtpmDevice) -> VtpmDevice:
    device.measure_runtime(RUNTIME)
    device.measure_job(JOB)
    return device


def look(evidence: Evidence, tpms: SoftwareTpms, expected: bytes = NONCE) -> AttestationResult:
    return appraise(
        evidence,
        at=system_clock(),
        expected_binding=ExpectedBinding.exactly(expected),
        reference_values=ReferenceValues(
            runtime_digests=(RUNTIME,),
            roots={"software-tpm": (to_base64(tpms.root()),)},
            tpm=TpmReference(),
        ),
        max_age_seconds=None,
    )


def failed(result: AttestationResult) -> list[str]:
    return [item.name for item in result.checks if item.mark is Mark.FAILED]


def quoted(evidence: Evidence) -> QuoteInfo:
    return parse_attest(unbase64(read_payload(unbase64(evidence.payload)).attest))


def test_a_measured_guest_is_accepted_as_a_software_tpm_and_no_more(
    tpms: SoftwareTpms, device: VtpmDevice
) -> None:
    result = look(measured(device).quote(NONCE), tpms)
    assert failed(result) == []
    assert result.tier is Tier.SOFTWARE_TPM
    assert not result.tier.meets(Tier.HARDWARE_VTPM)
    claims = result.require()
    assert (claims.runtime_digest, claims.job_digest) == (RUNTIME, JOB)


def test_a_quote_is_good_for_its_own_session_only(tpms: SoftwareTpms, device: VtpmDevice) -> None:
    parts: dict[str, Any] = {
        "purpose": "key-release",
        "audience": "clinic-broker",
        "nonce": bytes(32),
        "job_digest": JOB,
        "session_key": bytes(32),
    }
    evidence = measured(device).quote(evidence_nonce(binding(**parts)))
    others = (
        {"purpose": "result"},
        {"audience": "another-broker"},
        {"nonce": b"\1" * 32},
        {"job_digest": RUNTIME},
        {"session_key": b"\1" * 32},
    )
    assert failed(look(evidence, tpms, evidence_nonce(binding(**parts)))) == []
    for change in others:
        wanted = evidence_nonce(binding(**(parts | change)))
        assert failed(look(evidence, tpms, wanted)) == ["binding"]


def test_a_register_extended_after_the_start_shows(
    tpms: SoftwareTpms, device: VtpmDevice, run_folder: Path
) -> None:
    measured(device)
    assert failed(look(device.quote(NONCE), tpms)) == []
    with connected(tcti(run_folder)) as intruder:
        extend(intruder, 8, bytes(32))
    assert failed(look(device.quote(NONCE), tpms)) == ["events"]


def test_an_unmeasured_guest_gets_nothing_accepted(tpms: SoftwareTpms, device: VtpmDevice) -> None:
    assert failed(look(device.quote(NONCE), tpms)) == ["image"]
    device.measure_runtime(RUNTIME)
    assert failed(look(device.quote(NONCE), tpms)) == ["job"]


def test_another_installations_tpm_is_refused(
    tpms: SoftwareTpms, other_tpms: SoftwareTpms, device: VtpmDevice, run_folder: Path
) -> None:
    ours = measured(device).quote(NONCE)
    place = run_folder / "another"
    place.mkdir()
    with other_tpms.power_on(place) as other:
        theirs = measured(other).quote(NONCE)
    assert failed(look(theirs, other_tpms)) == []
    assert failed(look(theirs, tpms)) == ["root"]
    # our certificate beside their quote is for another key
    mixed = Evidence(
        media_type=theirs.media_type, payload=theirs.payload, endorsements=ours.endorsements
    )
    assert failed(look(mixed, tpms)) == ["root"]
    # their quote with our key does not hold
    swapped = read_payload(unbase64(theirs.payload))
    own = read_payload(unbase64(ours.payload))
    payload = canonical_json(
        type(swapped)(
            attest=swapped.attest,
            signature=swapped.signature,
            ak_public=own.ak_public,
            pcrs=swapped.pcrs,
            events=swapped.events,
        )
    )
    forged = Evidence(
        media_type=ours.media_type, payload=to_base64(payload), endorsements=ours.endorsements
    )
    assert failed(look(forged, tpms)) == ["signature", "qualified-signer"]


def test_every_guests_tpm_begins_with_nothing_measured(
    tpms: SoftwareTpms, run_folder: Path
) -> None:
    for _ in range(2):
        with tpms.power_on(run_folder) as device:
            assert failed(look(measured(device).quote(NONCE), tpms)) == []
        assert not (run_folder / "tpm").exists()


def test_guests_side_by_side_do_not_meet(tpms: SoftwareTpms, run_folder: Path) -> None:
    places = [run_folder / name for name in ("a", "b")]
    for place in places:
        place.mkdir()
    with tpms.power_on(places[0]) as first, tpms.power_on(places[1]) as second:
        measured(first)
        assert failed(look(second.quote(NONCE), tpms)) == ["image"]
        assert failed(look(measured(second).quote(NONCE), tpms)) == []
        assert failed(look(first.quote(NONCE), tpms)) == []


def test_a_run_folder_takes_one_tpm(
    tpms: SoftwareTpms, device: VtpmDevice, run_folder: Path
) -> None:
    with pytest.raises(AttestationError, match="run folder"), tpms.power_on(run_folder):
        pass
    assert failed(look(measured(device).quote(NONCE), tpms)) == []


def test_many_threads_may_quote(tpms: SoftwareTpms, device: VtpmDevice) -> None:
    measured(device)
    nonces = [evidence_nonce(bytes((number,))) for number in range(32)]
    with ThreadPoolExecutor(8) as pool:
        for nonce, evidence in zip(nonces, pool.map(device.quote, nonces), strict=True):
            assert failed(look(evidence, tpms, nonce)) == []


@pytest.mark.parametrize("nonce", [b"", bytes(31), bytes(33), bytes(64)])
def test_a_nonce_has_32_bytes(device: VtpmDevice, nonce: bytes) -> None:
    with pytest.raises(AttestationError, match="32 bytes"):
        device.quote(nonce)


def test_a_tpm_that_was_switched_off_gives_no_evidence(
    tpms: SoftwareTpms, run_folder: Path
) -> None:
    with tpms.power_on(run_folder) as device:
        measured(device)
    with pytest.raises(AttestationError):
        device.quote(NONCE)


def test_counters_go_on_while_it_runs_and_an_older_quote_is_told(device: VtpmDevice) -> None:
    first, second = (quoted(measured(device).quote(NONCE)) for _ in range(2))
    check_not_before(first, second)
    with pytest.raises(AppraisalRefusedError):
        check_not_before(replace(second, clock=second.clock + 1), first)


# --- what the TPM itself refuses ----------------------------------------------------------------


def test_registers_of_measurements_cannot_be_set_back_and_others_can(
    device: VtpmDevice, run_folder: Path
) -> None:
    measured(device)
    before = device.quote(NONCE)
    with connected(tcti(run_folder)) as intruder:
        for register in range(16):
            with pytest.raises(AttestationError), translated("reset"):
                intruder.pcr_reset(register)
        for register in (16, 23):
            intruder.pcr_reset(register)
    after = read_payload(unbase64(device.quote(NONCE).payload))
    assert after.pcrs == read_payload(unbase64(before.payload)).pcrs


def test_a_restricted_key_signs_no_forged_quote(device: VtpmDevice, run_folder: Path) -> None:
    import tpm2_pytss as tss

    forged = bytes.fromhex("ff544347") + bytes(100)
    scheme = tss.TPMT_SIG_SCHEME(scheme=tss.TPM2_ALG.NULL)
    with connected(tcti(run_folder)) as intruder:
        key, _ = create_attestation_key(intruder)
        owner = tss.ESYS_TR.OWNER
        digest, ticket = intruder.hash(forged, tss.TPM2_ALG.SHA256, owner)
        with pytest.raises(AttestationError), translated("sign"):
            intruder.sign(key, digest, scheme, ticket)
        # other bytes it does sign: the magic is all that tells them apart (CVE-2024-29038)
        digest, ticket = intruder.hash(b"\xde\xad\xbe\xef" + forged, tss.TPM2_ALG.SHA256, owner)
        assert intruder.sign(key, digest, scheme, ticket).marshal()


@pytest.fixture
def keys(device: VtpmDevice, run_folder: Path) -> Iterator[tuple[Any, Any, Any, Any, bytes]]:
    """The TPM, its attestation key, its endorsement key with public area, and the first's name."""
    with connected(tcti(run_folder)) as context:
        key, area = create_attestation_key(context)
        ek, public = endorsement_key(context)
        yield context, key, ek, parse_tpm_public(public), parse_tpm_public(area).name


def test_the_tpm_activates_a_credential_for_its_own_key(keys: Any) -> None:
    context, key, ek, public, name = keys
    activate(context, key, ek, public, name)


def test_the_tpm_does_not_activate_a_credential_for_another_name(keys: Any) -> None:
    context, key, ek, public, name = keys
    with pytest.raises(AttestationError, match="activate"):
        activate(context, key, ek, public, name[:-1] + bytes((name[-1] ^ 1,)))


def test_the_tpm_does_not_activate_a_credential_for_another_tpm(
    keys: Any, other_tpms: SoftwareTpms, run_folder: Path
) -> None:
    context, key, ek, _, name = keys
    place = run_folder / "another"
    place.mkdir()
    with other_tpms.power_on(place), connected(tcti(place)) as other:
        _, public = endorsement_key(other)
    with pytest.raises(AttestationError, match="activate"):
        activate(context, key, ek, parse_tpm_public(public), name)


def test_our_credentials_open_under_the_tpms_ecc_key_too(keys: Any) -> None:
    import tpm2_pytss as tss

    context, key, _, _, name = keys
    ek = context.tr_from_tpmpublic(ECC_EK_HANDLE)
    # swtpm names this key by SHA-384: the longer digest, AES-256 and P-384 all come in
    public = parse_tpm_public(bytes(context.read_public(ek)[0].publicArea.marshal()))
    made = make_credential(public, name, b"secret")
    opened = context.activate_credential(
        key,
        ek,
        tss.TPM2B_ID_OBJECT(made.blob),
        tss.TPM2B_ENCRYPTED_SECRET(made.encrypted_seed),
        session1=tss.ESYS_TR.PASSWORD,
        session2=tss.ESYS_TR.PASSWORD,
    )
    assert bytes(opened) == b"secret"


def test_an_endorsement_key_that_nobody_kept_is_derived_again(keys: Any) -> None:
    import tpm2_pytss as tss

    context, key, ek, public, name = keys
    context.evict_control(tss.ESYS_TR.OWNER, ek, EK_HANDLE)
    again, area = endorsement_key(context)
    assert parse_tpm_public(area).name == public.name
    activate(context, key, again, public, name)


def test_an_authority_certifies_no_tpm_of_an_unknown_maker(
    keys: Any, tmp_path: Path, other_tpms: SoftwareTpms
) -> None:
    context = keys[0]
    authority = SoftwareTpmAuthority.open(tmp_path / "authority", system_clock())
    for roots in ((), (authority.root(),), (other_tpms.root(),)):
        with pytest.raises(AttestationError, match="not certified"):
            authority.certify(context, roots, system_clock())


def test_an_endorsement_certificate_of_another_tpm_is_refused(
    keys: Any, tpms: SoftwareTpms, other_tpms: SoftwareTpms, run_folder: Path
) -> None:
    roots = _roots(tpms.home / "ek-authority")
    certificate = _read_index(keys[0], EK_CERTIFICATE_INDEX)
    _, own = endorsement_key(keys[0])
    assert _certified(certificate, own, roots, system_clock()).key == keys[3].key
    place = run_folder / "another"
    place.mkdir()
    with other_tpms.power_on(place), connected(tcti(place)) as other:
        _, public = endorsement_key(other)
    with pytest.raises(AttestationError, match="not the one certified"):
        _certified(certificate, public, roots, system_clock())


class HostileTpm:
    """The real TPM behind a host that answers some commands itself."""

    def __init__(self, context: Any, **answers: Callable[..., Any]) -> None:
        self._context = context
        self._answers = answers

    def __getattr__(self, name: str) -> Any:
        return self._answers.get(name) or getattr(self._context, name)


def test_a_tpm_that_guesses_the_secret_has_activated_nothing(keys: Any) -> None:
    context, key, ek, public, name = keys
    guessing = HostileTpm(context, activate_credential=lambda *_, **__: bytes(32))
    with pytest.raises(AttestationError, match="another secret"):
        activate(guessing, key, ek, public, name)


def test_no_key_is_certified_that_also_signs_what_it_is_given(
    tpms: SoftwareTpms, device: VtpmDevice, run_folder: Path
) -> None:
    import tpm2_pytss as tss

    authority = SoftwareTpmAuthority.open(tpms.home / "authority", system_clock())
    roots = _roots(tpms.home / "ek-authority")
    with connected(tcti(run_folder)) as context:

        def create_primary(sensitive: Any, template: Any, hierarchy: Any) -> Any:
            template.publicArea.objectAttributes &= ~tss.TPMA_OBJECT.RESTRICTED
            return context.create_primary(sensitive, template, hierarchy)

        assert authority.certify(context, roots, system_clock())
        hostile = HostileTpm(context, create_primary=create_primary)
        with pytest.raises(AttestationError, match="not restricted"):
            authority.certify(hostile, roots, system_clock())


# --- manufacture and end ------------------------------------------------------------------------


def test_manufacture_happens_once_however_many_ask(tmp_path: Path) -> None:
    # a deep folder, as an installation's may be: sockets do not live in it
    deep = tmp_path / ("d" * 80) / ("e" * 80)
    tpms = SoftwareTpms(deep, system_clock)
    with ThreadPoolExecutor(4) as pool:
        roots = set(pool.map(lambda _: tpms.root(), range(4)))
    assert len(roots) == 1
    assert (deep.stat().st_mode & 0o777) == 0o700
    assert not (deep / "making").exists()


def test_a_manufacture_that_was_cut_short_is_done_again(
    tpms: SoftwareTpms, tmp_path: Path, run_folder: Path
) -> None:
    home = tmp_path / "installation"
    shutil.copytree(tpms.home, home)
    (home / "attestation-key.der").unlink()
    (home / "making" / "state").mkdir(parents=True)
    again = SoftwareTpms(home, system_clock)
    with again.power_on(run_folder) as device:
        assert failed(look(measured(device).quote(NONCE), again)) == []
    assert again.root() == tpms.root()


def test_a_run_folder_too_deep_for_a_socket_is_said(tpms: SoftwareTpms, tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    with pytest.raises(AttestationError, match="socket"), tpms.power_on(deep):
        pass


SLOW_SWTPM = """#!{python}
import os, socket, sys, time
state = next(item for item in sys.argv if item.startswith("dir=")).removeprefix("dir=")
control, data = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
control.bind(state + "/s.ctrl")
control.listen()
data.bind(state + "/s")
time.sleep(0.3)
os.unlink(state + "/s.ctrl")
os.unlink(state + "/s")
os.execv({real!r}, sys.argv)
"""


def test_a_tpm_is_not_used_before_it_listens(
    tpms: SoftwareTpms, run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real swtpm is like this for a moment: its control listens, its data is only bound."""
    slow = tmp_path / "swtpm"
    slow.write_text(SLOW_SWTPM.format(python=sys.executable, real=shutil.which("swtpm")))
    slow.chmod(0o755)
    monkeypatch.setitem(_PATH, "PATH", f"{tmp_path}:{_PATH['PATH']}")
    with tpms.power_on(run_folder) as device:
        assert failed(look(measured(device).quote(NONCE), tpms)) == []


def wait_for(what: Callable[[], bool]) -> bool:
    give_up = monotonic() + 20
    pause = threading.Event()
    while not what() and monotonic() < give_up:
        pause.wait(0.01)
    return what()


def alive(state: Path) -> bool:
    """Whether some process has this state folder on its command line."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if str(state).encode() in (entry / "cmdline").read_bytes():
                    return True
            except OSError:
                continue
    return False


def test_the_tpm_ends_with_a_host_that_is_killed(tpms: SoftwareTpms, run_folder: Path) -> None:
    script = (
        "import pathlib, sys, time\n"
        "from manatee._clock import system_clock\n"
        "from manatee.tpm import SoftwareTpms\n"
        "tpms = SoftwareTpms(pathlib.Path(sys.argv[1]), system_clock)\n"
        "with tpms.power_on(pathlib.Path.cwd()):\n"
        "    print('on', flush=True)\n"
        "    time.sleep(600)\n"
    )
    host = subprocess.Popen(
        [sys.executable, "-c", script, str(tpms.home)], stdout=subprocess.PIPE, cwd=run_folder
    )
    with host:
        assert host.stdout is not None
        assert host.stdout.readline() == b"on\n"
        assert alive(run_folder / "tpm")
        os.kill(host.pid, signal.SIGKILL)
    assert wait_for(lambda: not alive(run_folder / "tpm"))


def test_a_guest_that_ends_leaves_no_process_and_no_file(
    tpms: SoftwareTpms, run_folder: Path
) -> None:
    def guest() -> None:
        with tpms.power_on(run_folder):
            assert alive(run_folder / "tpm")
            raise RuntimeError("the guest broke")

    with pytest.raises(RuntimeError, match="guest"):
        guest()
    assert not alive(run_folder / "tpm")
    assert list(run_folder.iterdir()) == []
