"""Software TPMs (swtpm): manufactured once an installation, started afresh for every guest.

A guest's TPM begins with every register at zero, as a machine's does at power on. It proves the
protocol, not isolation: whoever runs the machine can read and forge everything in it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from manatee._clock import Clock, monotonic
from manatee.errors import AttestationError
from manatee.tpm._authority import SoftwareTpmAuthority, write_private
from manatee.tpm._device import VtpmDevice, connected

SETUP_SECONDS = 60.0
START_SECONDS = 10.0
MAX_SOCKET_PATH = 107
"""Longest path of a unix socket in bytes (Linux, unix(7))."""

_PATH = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
_COMPLETE = "attestation-key.der"


@dataclass(frozen=True)
class SoftwareTpms:
    """The software TPMs of one installation."""

    home: Path
    clock: Clock

    def manufacture(self) -> None:
        """Make the installation's TPM with its certificates, unless it is there.

        Effects: files below `home`; takes a second or two the first time.

        Raises:
            AttestationError: swtpm or the software stack is missing, or fails.
        """
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(self.home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (self.home / _COMPLETE).exists():
                self._manufacture()
        finally:
            os.close(lock)

    def root(self) -> bytes:
        """Return the authority's certificate, DER: what relying parties pin. Manufactures."""
        self.manufacture()
        return SoftwareTpmAuthority.open(self.home / "authority", self.clock()).root()

    @contextmanager
    def power_on(self, run_folder: Path) -> Iterator[VtpmDevice]:
        """Start a TPM with every register at zero, for as long as the block runs.

        It is a copy of the installation's, so that guests can run side by side. It dies with the
        thread that started it, however that ends.

        Args:
            run_folder: Private folder for its state and socket; short, for the socket's sake.

        Raises:
            AttestationError: It cannot be started.
        """
        self.manufacture()
        state = run_folder / "tpm"
        try:
            shutil.copytree(self.home / "state", state)
        except OSError as error:
            raise AttestationError(
                f"the software TPM's state cannot be copied to {state}.",
                hint="A run folder takes one TPM at a time.",
            ) from error
        try:
            with _running(state) as tcti, VtpmDevice.open(tcti, self.home / _COMPLETE) as device:
                yield device
        finally:
            shutil.rmtree(state, ignore_errors=True)

    def _manufacture(self) -> None:
        making = self.home / "making"
        shutil.rmtree(making, ignore_errors=True)
        shutil.rmtree(self.home / "state", ignore_errors=True)
        (making / "state").mkdir(parents=True, mode=0o700)
        authorities = self.home / "ek-authority"
        authorities.mkdir(exist_ok=True, mode=0o700)
        _setup(making, authorities)
        authority = SoftwareTpmAuthority.open(self.home / "authority", self.clock())
        # a socket's path may have 107 bytes, and the installation's folder may be deep
        with tempfile.TemporaryDirectory(prefix="manatee-tpm-") as short:
            trial = Path(short) / "tpm"
            shutil.copytree(making / "state", trial)
            with _running(trial) as tcti, connected(tcti) as context:
                certificate = authority.certify(context, _roots(authorities), self.clock())
        (making / "state").rename(self.home / "state")
        shutil.rmtree(making)
        write_private(self.home / _COMPLETE, certificate)


def _tool(name: str) -> str:
    found = shutil.which(name, path=_PATH["PATH"])
    if found is None:
        raise AttestationError(
            f"{name} is not installed, so there is no software TPM.",
            hint="apt-get install swtpm swtpm-tools",
        )
    return found


def _setup(making: Path, authorities: Path) -> None:
    """Manufacture a TPM's state with an EK certificate by a local authority, by swtpm's tools."""
    (making / "localca.conf").write_text(
        f"statedir = {authorities}\n"
        f"signingkey = {authorities}/signkey.pem\n"
        f"issuercert = {authorities}/issuercert.pem\n"
        f"certserial = {authorities}/certserial\n"
    )
    (making / "localca.options").write_text(
        "--platform-manufacturer NotHardware\n--platform-version 1\n--platform-model SoftwareTpm\n"
    )
    (making / "setup.conf").write_text(
        f"create_certs_tool = {_tool('swtpm_localca')}\n"
        f"create_certs_tool_config = {making}/localca.conf\n"
        f"create_certs_tool_options = {making}/localca.options\n"
    )
    command = [_tool("swtpm_setup"), "--tpm2", "--tpmstate", str(making / "state")]
    command += ["--create-ek-cert", "--lock-nvram", "--not-overwrite", "--pcr-banks", "sha256"]
    command += ["--config", str(making / "setup.conf"), "--logfile", str(making / "setup.log")]
    try:
        done = subprocess.run(
            command,
            env=_PATH | {"HOME": str(making), "XDG_CONFIG_HOME": str(making)},
            capture_output=True,
            timeout=SETUP_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise AttestationError("the software TPM was not manufactured in time.") from error
    if done.returncode != 0:
        raise AttestationError(
            "the software TPM could not be manufactured.", hint=f"See {making}/setup.log."
        )


def _roots(authorities: Path) -> tuple[bytes, ...]:
    """Return the certificates of the local authority that signs endorsement keys, DER."""
    try:
        names = ("issuercert.pem", "swtpm-localca-rootca-cert.pem")
        return tuple(
            x509.load_pem_x509_certificate((authorities / name).read_bytes()).public_bytes(
                Encoding.DER
            )
            for name in names
        )
    except (OSError, ValueError) as error:
        raise AttestationError("the software TPM's own authority cannot be read.") from error


def _listens(path: str) -> bool:
    """Whether somebody answers at a unix socket: its file is there before its owner listens."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except OSError:
            return False
    return True


@contextmanager
def _running(state: Path) -> Iterator[str]:
    """Run a TPM over a folder of state; it ends with the block."""
    address = state / "s"
    control = f"{address}.ctrl"
    if len(os.fsencode(control)) > MAX_SOCKET_PATH:
        raise AttestationError(
            f"a software TPM's folder must leave room for its socket: {MAX_SOCKET_PATH} bytes."
        )
    # it dies with the thread that started it, however that ends
    command = [
        _tool("setpriv"),
        "--pdeathsig",
        "KILL",
        _tool("swtpm"),
        "socket",
        "--tpm2",
        "--tpmstate",
        f"dir={state}",
    ]
    command += ["--server", f"type=unixio,path={address}"]
    command += ["--ctrl", f"type=unixio,path={control}"]
    command += ["--flags", "not-need-init,startup-clear"]
    process = subprocess.Popen(
        command,
        env=_PATH,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        give_up = monotonic() + START_SECONDS
        while not (_listens(str(address)) and _listens(control)):
            if process.poll() is not None or monotonic() > give_up:
                raise AttestationError("the software TPM did not start.")
            time.sleep(0.005)
        yield f"swtpm:path={address}"
    finally:
        process.terminate()
        try:
            process.wait(START_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
