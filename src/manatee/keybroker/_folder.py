"""A broker's folder on disk: its key custody, policy and reference values, and its database."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from manatee._clock import Clock
from manatee.attestation import NO_ENDORSEMENTS, Endorsements
from manatee.custody import KeyCustody, KeySettings, create_custody, open_custody
from manatee.errors import ConflictError, SettingsError
from manatee.keybroker._broker import BrokerKeys, KeyBroker, Log
from manatee.keybroker._budget import Budget
from manatee.keybroker._budget_file import open_budget
from manatee.keybroker._decision_log import DecisionLog
from manatee.keybroker._rules import TRUST, FolderRules, PolicyTrust
from manatee.keybroker._store import BrokerStore
from manatee.ledger import ED25519, NoteSigner, signer_in
from manatee.records import Record, canonical_json, read_record
from manatee.records._base import Name


class _BrokerFile(Record, frozen=True, kw_only=True):
    format_version: Literal[2] = 2
    broker_id: Name


def write_private(path: Path, data: bytes) -> None:
    """Write a file only its owner can read, whole or not at all, and never over another.

    Raises:
        ConflictError: The file exists.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            os.fsync(stream.fileno())
        os.link(temporary, path)
    except FileExistsError as error:
        raise ConflictError(f"{path} exists; it is never overwritten.") from error
    finally:
        temporary.unlink(missing_ok=True)


def create_broker(folder: Path, broker_id: str, key: KeySettings | None = None) -> KeyCustody:
    """Make a broker with a key custody of one key.

    Args:
        folder: Where; holds everything of the broker.
        broker_id: Its name.
        key: Where its key is; None makes an age identity in the folder.

    Effects: writes `broker.json` and `custody.json` into the folder, readable by its owner
        alone; with an age identity, that too. A custody that is there is kept, not replaced.

    Returns:
        The custody, under whose newest key data keys are wrapped.

    Raises:
        ConflictError: The folder holds a broker already, or a custody and `key` names another.
    """
    if (folder / "broker.json").exists():
        raise ConflictError(f"{folder} holds a key broker already; it is never overwritten.")
    present = key is None and (folder / "custody.json").exists()
    custody = open_custody(folder) if present else create_custody(folder, key)
    write_private(folder / "broker.json", canonical_json(_BrokerFile(broker_id=broker_id)))
    return custody


def read_broker_keys(folder: Path) -> BrokerKeys:
    """Read what `create_broker` wrote.

    Raises:
        SettingsError: There is none, or its custody is missing.
        MalformedError: One of the files is something else.
    """
    try:
        data = (folder / "broker.json").read_bytes()
    except OSError as error:
        raise SettingsError(
            f"no key broker in {folder}.", hint="Make one with `manatee keybroker init`."
        ) from error
    broker_file = read_record(data, _BrokerFile, what="broker.json")
    return BrokerKeys(broker_file.broker_id, open_custody(folder))


def trust_policy_key(folder: Path, provider: str, public_key: str) -> None:
    """Pin the key under which this broker takes a provider's policies.

    Args:
        folder: The broker's.
        provider: Whose data keys it holds.
        public_key: Raw Ed25519 public key, base64.

    Raises:
        ConflictError: A key is pinned already; it is never replaced by a command.
    """
    trust = PolicyTrust(provider=provider, policy_key=public_key)
    write_private(folder / TRUST, canonical_json(trust))


def decision_log_signer(folder: Path, broker_id: str) -> NoteSigner:
    """Return the key under which the broker signs its log of decisions; makes it on first use.

    Raises:
        MalformedError: The file holds something else.
    """
    return signer_in(folder / "log-key.json", f"manatee.invalid/keybroker/{broker_id}", ED25519)


def open_broker(
    folder: Path,
    *,
    clock: Clock,
    log: Log,
    insecure_settings: tuple[str, ...] = (),
    endorsements: Callable[[], Endorsements] = lambda: NO_ENDORSEMENTS,
    budget: Budget | None = None,
) -> KeyBroker:
    """Open the broker in a folder.

    Args:
        folder: What `create_broker`, `trust_policy_key` and `write_policy` filled.
        clock: The broker's clock.
        log: Takes events.
        insecure_settings: Those this broker is started with.
        endorsements: The collateral at hand.
        budget: Accounts for privacy budgets; None takes what `use_ledger` said.

    Raises:
        SettingsError: Its custody, policy, policy key or reference values are missing.
        AuthorizationError: The policy is not the provider's, not in force, or older than one that
            this broker has seen.
        PolicyError: The policy is refused as written.
        MalformedError: One of the files is something else; nothing is assumed in its place.
    """
    keys = read_broker_keys(folder)
    store = BrokerStore(folder / "broker.db")
    return KeyBroker(
        keys,
        rules=FolderRules(folder, store, clock),
        store=store,
        decisions=DecisionLog(folder / "log", decision_log_signer(folder, keys.broker_id), store),
        clock=clock,
        log=log,
        insecure_settings=insecure_settings,
        endorsements=endorsements,
        budget=budget or open_budget(folder),
    )
