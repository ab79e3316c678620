"""Every error ManaTEE raises on purpose, and the one table of what each means outside.

Three things are kept apart, and all three deny a key: *appraised and refused*
(`AppraisalRefusedError`), *could not be appraised* (`AppraisalUnavailableError`, worth a retry)
and *malformed input* (`MalformedError`, never worth one).

Messages say what was expected, what was found and what to do. They never quote a data value, a
key or a token.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Meaning:
    """What an error means to a caller: HTTP status and process exit code."""

    http_status: int
    exit_code: int


class ManateeError(Exception):
    """Root of the tree. `code` is stable text for machines; `hint` says what to do next."""

    code: ClassVar[str] = "internal"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


# --- what the caller sent -----------------------------------------------------------------------


class InputError(ManateeError):
    """The caller's input is unusable as it is; nothing was changed."""

    code = "bad-input"


class MalformedError(InputError):
    """Bytes that do not parse as what they claim to be. Never retried."""

    code = "malformed"


class TableError(InputError):
    """A table that cannot be read: not a CSV, or empty."""

    code = "bad-table"


class ContractError(InputError):
    """A data contract that is not one; the message gives the line."""

    code = "bad-contract"


class SchemaMismatchError(InputError):
    """A table breaks its contract. Names the column and the rule, never a value."""

    code = "schema-mismatch"


class NotebookError(InputError):
    """A notebook that cannot be run: missing, not JSON, another kernel, too large."""

    code = "bad-notebook"


class WorkspaceError(InputError):
    """A workspace that cannot be packed or unpacked safely."""

    code = "bad-workspace"


class ManifestError(InputError):
    """A job manifest that is inconsistent or names something it must not."""

    code = "bad-manifest"


class UnknownDatasetError(InputError):
    """A data set name or version nobody published."""

    code = "unknown-dataset"


class UnknownParameterError(InputError):
    """A parameter the notebook did not declare, or of another type."""

    code = "unknown-parameter"


class RuntimeEnvironmentError(InputError):
    """A runtime that is missing, unlocked or not the one asked for."""

    code = "bad-runtime"


class PolicyError(InputError):
    """A release policy that is refused as written; the message gives line and column."""

    code = "bad-policy"


class SettingsError(InputError):
    """A setting that is missing or out of range."""

    code = "bad-settings"


class TooLargeError(InputError):
    """Input over a documented limit."""

    code = "too-large"


class TooSlowError(ManateeError):
    """The caller stopped sending before the end, or sent too slowly; nothing was kept."""

    code = "too-slow"
    retryable = True


# --- who the caller is, and the state of things -------------------------------------------------


class AuthenticationError(ManateeError):
    """No token, or one that is unknown or expired."""

    code = "unauthenticated"


class AuthorizationError(ManateeError):
    """A known caller who may not do this."""

    code = "forbidden"


class NotFoundError(ManateeError):
    """No such thing, or none that this caller may know of."""

    code = "not-found"


class ConflictError(ManateeError):
    """The request does not fit the present state."""

    code = "conflict"


class DuplicateSubmissionError(ConflictError):
    """The same job manifest was submitted before."""

    code = "duplicate-submission"


class ProjectClosedError(ConflictError):
    """The project does not take jobs: not agreed by all, not in its time, or stopped."""

    code = "project-closed"


class TransitionError(ConflictError):
    """A step the job's state machine does not have."""

    code = "bad-transition"


class LimitError(ManateeError):
    """A queue or quota is full for now."""

    code = "limit"
    retryable = True


class IdentityProviderError(ManateeError):
    """The identity provider did not answer, or not as OpenID Connect says."""

    code = "identity-provider"
    retryable = True


class TooManyAttemptsError(LimitError):
    """Too many attempts to prove who one is; `retry_seconds` says when the next one counts."""

    code = "too-many-attempts"

    def __init__(self, message: str, *, hint: str = "", retry_seconds: int = 30) -> None:
        super().__init__(message, hint=hint or f"Try again in {retry_seconds} seconds.")
        self.retry_seconds = retry_seconds


# --- the guest ----------------------------------------------------------------------------------


class BackendError(ManateeError):
    """The place where guests run did something it should not."""

    code = "backend"


class BackendUnavailableError(BackendError):
    """Isolation cannot be had here. The backend refuses; it never falls back to less."""

    code = "backend-unavailable"


class GuestChannelError(BackendError):
    """The guest and its host did not understand one another."""

    code = "guest-channel"


# --- attestation and keys -----------------------------------------------------------------------


class AttestationError(ManateeError):
    """Anything that keeps Evidence from being accepted."""

    code = "attestation"


class AppraisalRefusedError(AttestationError):
    """Evidence was appraised and refused."""

    code = "appraisal-refused"


class AppraisalUnavailableError(AttestationError):
    """Evidence could not be appraised now (collateral missing, clock unknown)."""

    code = "appraisal-unavailable"
    retryable = True


class KeyReleaseError(ManateeError):
    """The key broker did not release a key."""

    code = "key-release"


class KeyDeniedError(KeyReleaseError):
    """The key broker refused. `check` names the check that failed.

    `reasons` are for the provider's own log: they quote the policy. They are no part of the
    message, which goes to the researcher.
    """

    code = "key-denied"

    def __init__(
        self, check: str, message: str, *, hint: str = "", reasons: tuple[str, ...] = ()
    ) -> None:
        super().__init__(f"[{check}] {message}", hint=hint)
        self.check = check
        self.reasons = reasons


class BrokerUnreachableError(KeyReleaseError):
    """The key broker did not answer."""

    code = "broker-unreachable"
    retryable = True


class CustodyUnavailableError(KeyReleaseError):
    """The custody of the broker's key did not answer, or answered with a failure of its own."""

    code = "custody-unavailable"
    retryable = True


class CustodyDeniedError(KeyReleaseError):
    """The custody refused: wrong credentials, missing permission, or a disabled or retired key."""

    code = "custody-denied"


# --- sealing, outputs, proofs -------------------------------------------------------------------


class SealingError(ManateeError):
    """Sealing or unsealing failed; the ciphertext may be damaged or the key wrong."""

    code = "sealing"


class ProvisioningError(ManateeError):
    """A twin could not be made within its privacy statement."""

    code = "provisioning"


class BudgetError(ManateeError):
    """A privacy budget does not allow this, or its ledger does not add up. Says what is left."""

    code = "budget"


class OutputCheckError(ManateeError):
    """An output may not leave the guest."""

    code = "output-check"


class LedgerError(ManateeError):
    """A transparency log, or a proof about one, that does not hold."""

    code = "ledger"


class ForkError(LedgerError):
    """Two signed checkpoints that cannot both be of one log: it was edited or forked."""

    code = "fork"


class BundleError(InputError):
    """A run bundle that cannot be read as one."""

    code = "bad-bundle"


class NotVerifiedError(ManateeError):
    """A run bundle was read and did not verify."""

    code = "not-verified"


class JobFailedError(ManateeError):
    """A job ended without a release; the message gives its cause."""

    code = "job-failed"


class ServiceUnreachableError(ManateeError):
    """The ManaTEE service did not answer."""

    code = "unreachable"
    retryable = True


class StoreError(ManateeError):
    """The database or the object store failed; nothing was acknowledged."""

    code = "store"
    retryable = True


class StoreFullError(StoreError):
    """There is no room for what was sent; nothing of it was kept."""

    code = "store-full"


class StoreRefusedError(StoreError):
    """The object store does not let this installation in; its operator must act."""

    code = "store-refused"


class DamagedBlobError(StoreError):
    """Stored bytes are gone or are not those that were stored; none of them was handed on."""

    code = "damaged-blob"
    retryable = False


# The one table. A class not listed takes the meaning of its nearest listed base.
_MEANINGS: dict[type[ManateeError], Meaning] = {
    ManateeError: Meaning(http_status=500, exit_code=1),
    InputError: Meaning(http_status=422, exit_code=2),
    TooLargeError: Meaning(http_status=413, exit_code=2),
    TooSlowError: Meaning(http_status=408, exit_code=12),
    AuthenticationError: Meaning(http_status=401, exit_code=3),
    AuthorizationError: Meaning(http_status=403, exit_code=3),
    NotFoundError: Meaning(http_status=404, exit_code=4),
    ConflictError: Meaning(http_status=409, exit_code=5),
    LimitError: Meaning(http_status=429, exit_code=5),
    IdentityProviderError: Meaning(http_status=503, exit_code=12),
    BackendError: Meaning(http_status=502, exit_code=6),
    BackendUnavailableError: Meaning(http_status=503, exit_code=6),
    AttestationError: Meaning(http_status=403, exit_code=7),
    AppraisalUnavailableError: Meaning(http_status=503, exit_code=7),
    KeyReleaseError: Meaning(http_status=403, exit_code=7),
    BrokerUnreachableError: Meaning(http_status=503, exit_code=7),
    CustodyUnavailableError: Meaning(http_status=503, exit_code=7),
    SealingError: Meaning(http_status=422, exit_code=8),
    ProvisioningError: Meaning(http_status=422, exit_code=8),
    BudgetError: Meaning(http_status=409, exit_code=15),
    OutputCheckError: Meaning(http_status=422, exit_code=9),
    LedgerError: Meaning(http_status=422, exit_code=14),
    NotVerifiedError: Meaning(http_status=422, exit_code=10),
    JobFailedError: Meaning(http_status=409, exit_code=11),
    ServiceUnreachableError: Meaning(http_status=503, exit_code=12),
    StoreError: Meaning(http_status=503, exit_code=13),
    StoreFullError: Meaning(http_status=507, exit_code=13),
    DamagedBlobError: Meaning(http_status=500, exit_code=13),
}


def meaning(error: ManateeError | type[ManateeError]) -> Meaning:
    """Return HTTP status and exit code of an error: its own or its nearest listed base's."""
    kind = error if isinstance(error, type) else type(error)
    return next(_MEANINGS[base] for base in kind.__mro__ if base in _MEANINGS)


def all_errors() -> list[type[ManateeError]]:
    """Return every error class, root first, for the generated reference page and its test."""
    found = [ManateeError]
    for kind in found:
        found.extend(sub for sub in kind.__subclasses__() if sub not in found)
    return found
