"""What a broker decides by, as its folder holds it now: the provider's policy, reference values.

A new policy takes effect with the next request, and an older one never again, also while the
broker runs. Policy and reference values lie in one file, so no request meets half of a change.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from manatee._clock import Clock, timestamp
from manatee.attestation import ReferenceValues
from manatee.errors import SettingsError, StoreError
from manatee.keybroker._store import BrokerStore
from manatee.policy import SignedPolicy, VerifiedPolicy, verify_policy
from manatee.records import (
    Base64,
    Record,
    canonical_json,
    digest_record,
    read_record,
    unbase64,
)
from manatee.records._base import Name

RULES = "rules.json"
LOCK = "rules.lock"
TRUST = "policy-trust.json"
RULES_TAKEN = "rules-taken"
"""Outcome of the log's entries that say which policy and reference values hold from then on."""


@dataclass(frozen=True)
class Rules:
    """Under which one request is decided."""

    policy: VerifiedPolicy
    reference_values: ReferenceValues


class PolicyTrust(Record, frozen=True, kw_only=True):
    """Whose policies a broker takes, and under which key: set once."""

    format_version: Literal[1] = 1
    provider: Name
    policy_key: Base64


class _RulesFile(Record, frozen=True, kw_only=True):
    format_version: Literal[1] = 1
    policy: SignedPolicy
    reference_values: ReferenceValues


def fixed_rules(policy: VerifiedPolicy, reference_values: ReferenceValues) -> Callable[[], Rules]:
    """Return rules that never change: for a broker that is not in a folder."""
    rules = Rules(policy, reference_values)
    return lambda: rules


def write_policy(folder: Path, policy: SignedPolicy, reference_values: ReferenceValues) -> None:
    """Set a broker's policy and reference values, unchecked and both at once.

    A running broker takes them with its next request. One that they are not fit for refuses
    every request until they are.

    Raises:
        StoreError: They cannot be written; what was there still is.
    """
    temporary = folder / f".{RULES}.{os.getpid()}"
    written = canonical_json(_RulesFile(policy=policy, reference_values=reference_values))
    try:
        with temporary.open("wb") as stream:
            stream.write(written)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(folder / RULES)
    except OSError as error:
        raise StoreError(f"{folder / RULES} cannot be written ({error.strerror}).") from error
    finally:
        temporary.unlink(missing_ok=True)


def install_policy(
    folder: Path, policy: SignedPolicy, reference_values: ReferenceValues, *, clock: Clock
) -> int:
    """Check a policy as the broker will, and set it.

    The version is remembered first: a crash between the two leaves a broker that releases nothing
    until the command is given again, never one that takes an older policy.

    Returns:
        Its version.

    Raises:
        SettingsError, AuthorizationError, PolicyError, MalformedError: As `open_broker`; nothing
            was changed.
        StoreError: It cannot be written.
    """
    store = BrokerStore(folder / "broker.db")
    try:
        with _change(folder, fcntl.LOCK_EX):
            trust = read_policy_trust(folder)
            version = _taken(trust, policy, reference_values, store, clock).document.version
            write_policy(folder, policy, reference_values)
        return version
    finally:
        store.close()


@contextmanager
def _change(folder: Path, kind: int) -> Iterator[None]:
    """Hold off while another process is between remembering a policy and writing it.

    Raises:
        StoreError: The lock's file cannot be opened.
    """
    try:
        handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(f"{folder / LOCK} cannot be opened ({error.strerror}).") from error
    try:
        fcntl.flock(handle, kind)
        yield
    finally:
        os.close(handle)


def read_policy_trust(folder: Path) -> PolicyTrust:
    """Return whose policies the broker in a folder takes. Raises SettingsError, MalformedError."""
    try:
        data = (folder / TRUST).read_bytes()
    except OSError as error:
        raise SettingsError(
            f"the key broker in {folder} pins no policy key.",
            hint="Pin the provider's: `manatee keybroker trust`.",
        ) from error
    return read_record(data, PolicyTrust, what=TRUST)


def _taken(
    trust: PolicyTrust,
    policy: SignedPolicy,
    reference_values: ReferenceValues,
    store: BrokerStore,
    clock: Clock,
) -> VerifiedPolicy:
    """Verify a policy and remember it: from now on the broker takes no older one.

    That other rules are in force goes into the decision log, before anything is decided by them.
    """
    at = clock()
    verified = verify_policy(
        policy,
        provider=trust.provider,
        trusted_key=unbase64(trust.policy_key),
        at=at,
        last_version=store.policy_version(),
    )
    entry: dict[str, object] = {
        "at": timestamp(at),
        "outcome": RULES_TAKEN,
        "provider": trust.provider,
        "policy_version": verified.document.version,
        "policy_sha256": digest_record(verified.document),
        "reference_values_sha256": digest_record(reference_values),
    }
    store.take_policy(
        verified.document.version,
        digest_record(verified.document),
        rules=digest_record([entry["policy_sha256"], entry["reference_values_sha256"]]),
        entry=canonical_json(entry),
    )
    return verified


class FolderRules:
    """The rules in a broker's folder, read anew for each request and verified when they changed.

    The pinned key is read once, at the start: only a restart takes another.
    """

    def __init__(self, folder: Path, store: BrokerStore, clock: Clock) -> None:
        """Read and verify them a first time. Raises as `open_broker`."""
        self._folder = folder
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._trust = read_policy_trust(folder)
        self._read = b""
        self._rules: Rules | None = None
        self()

    def __call__(self) -> Rules:
        """Return the rules that hold now.

        Raises:
            ManateeError: There are none that this broker may take. Those of before hold no more:
                whoever replaced them did not mean them to.
        """
        with self._lock:
            if self._rules is not None and self._bytes() == self._read:
                return self._rules
            self._rules = None
            with _change(self._folder, fcntl.LOCK_SH):
                data = self._bytes()
                given = read_record(data, _RulesFile, what=RULES)
                policy = _taken(
                    self._trust, given.policy, given.reference_values, self._store, self._clock
                )
            self._rules, self._read = Rules(policy, given.reference_values), data
            return self._rules

    def _bytes(self) -> bytes:
        try:
            return (self._folder / RULES).read_bytes()
        except OSError as error:
            self._rules = None
            raise SettingsError(
                f"the key broker in {self._folder} has no policy.",
                hint="Without one it releases nothing: `manatee keybroker policy`.",
            ) from error
