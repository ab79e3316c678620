"""Policy files as people keep them: Cedar text being written, or a policy that was signed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from manatee.errors import MalformedError, SettingsError, TooLargeError
from manatee.policy import (
    CompiledPolicies,
    PolicyDocument,
    PolicySide,
    Problem,
    SignedPolicy,
    compile_document,
    compile_policies,
    find_problems,
    named_organisations,
)
from manatee.records import read_record

MAX_FILE_BYTES = 512 << 10
"""Cap of a policy file, in bytes: the Cedar text's own cap is smaller."""


@dataclass(frozen=True)
class PolicyFile:
    """One file. `document` is None for bare Cedar text; signatures are not checked here."""

    text: str
    document: PolicyDocument | None

    @property
    def organisations(self) -> tuple[str, ...]:
        """Whose approvals may be counted: of bare text, whoever it names."""
        if self.document is None:
            return named_organisations(self.text)
        return tuple(sorted(self.document.approver_keys))

    def problems(self) -> tuple[Problem, ...]:
        """Return everything wrong with the Cedar text."""
        return find_problems(self.text, self.organisations)

    def compiled(self) -> CompiledPolicies:
        """Make the policy usable.

        Raises:
            PolicyError: It is refused as written.
        """
        if self.document is not None:
            return compile_document(self.document).compiled
        return compile_policies(self.text, self.organisations)


def read_bytes(path: Path, what: str) -> bytes:
    """Read a file of bounded size.

    Raises:
        SettingsError: There is none.
        TooLargeError: It is over the cap.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise SettingsError(f"no {what} at {path}.") from error
    if len(data) > MAX_FILE_BYTES:
        raise TooLargeError(f"{what}: at most {MAX_FILE_BYTES >> 10} KiB are read.")
    return data


def read_policy_file(path: Path) -> PolicyFile:
    """Read Cedar text, or, if the file's name ends in `.json`, a signed policy.

    Raises:
        SettingsError: There is no such file.
        MalformedError: It is neither.
    """
    data = read_bytes(path, "policy")
    if path.suffix == ".json":
        document = read_record(data, SignedPolicy, what="policy").document
        return PolicyFile(document.cedar, document)
    try:
        return PolicyFile(data.decode("utf-8"), None)
    except UnicodeDecodeError as error:
        raise MalformedError("the policy is not UTF-8 text.") from error


def comparable(old: PolicyFile, new: PolicyFile) -> tuple[PolicySide, PolicySide, bool]:
    """Return both sides of a comparison, and whether only their Cedar text can be compared.

    Dates, provider and approver keys are compared if both files are signed policies.
    """
    if old.document is None or new.document is None:
        named = tuple(sorted({*old.organisations, *new.organisations}))
        sides = tuple(PolicySide(compile_policies(item.text, named)) for item in (old, new))
        return sides[0], sides[1], True
    return _side(old, old.document), _side(new, new.document), False


def _side(given: PolicyFile, document: PolicyDocument) -> PolicySide:
    return PolicySide(
        given.compiled(),
        dates=(document.valid_from, document.valid_until),
        approver_keys={name: frozenset(keys) for name, keys in document.approver_keys.items()},
        provider=document.provider,
    )
