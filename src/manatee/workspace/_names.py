"""Which names a workspace may hold: ones that mean the same file on every machine."""

import unicodedata

from manatee.errors import WorkspaceError
from manatee.workspace._limits import MAX_NAME_CHARACTERS, MAX_PART_BYTES

_REFUSED_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories: controls, invisible format characters, lone surrogates, line breaks."""


def printable(name: str) -> str:
    """Return a name for a message: quoted, ASCII only, at most 80 characters of it."""
    return ascii(name[:80])


def check_name(name: str) -> None:
    """Check one path inside a workspace (`/` between parts).

    Raises:
        WorkspaceError: It is absolute, too long, not UTF-8, or holds `.`, `..`, a backslash or a
            character that cannot be seen.
    """
    if any(unicodedata.category(character) in _REFUSED_CATEGORIES for character in name):
        raise WorkspaceError(
            f"the name {printable(name)} holds a control or invisible character, or is not UTF-8.",
            hint="Rename the file.",
        )
    if "\\" in name:
        raise WorkspaceError(f"the name {printable(name)} holds a backslash.", hint="Rename it.")
    if len(name) > MAX_NAME_CHARACTERS:
        raise WorkspaceError(
            f"the path {printable(name)} has more than {MAX_NAME_CHARACTERS} characters."
        )
    for part in name.split("/"):
        if part in {"", ".", ".."}:
            raise WorkspaceError(
                f"the path {printable(name)} is absolute or has an empty, '.' or '..' part."
            )
        if len(part.encode()) > MAX_PART_BYTES:
            raise WorkspaceError(
                f"a part of the path {printable(name)} has more than {MAX_PART_BYTES} bytes."
            )


class NameSet:
    """The names seen so far, to refuse two that some file systems take for one."""

    def __init__(self) -> None:
        self._seen: dict[str, str] = {}

    def add(self, name: str) -> None:
        """Check a name and take it in.

        Raises:
            WorkspaceError: The name is not allowed, or differs from an earlier one by upper and
                lower case or by Unicode normalisation only.
        """
        check_name(name)
        folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
        earlier = self._seen.setdefault(folded, name)
        if earlier is not name:
            raise WorkspaceError(
                f"the names {printable(earlier)} and {printable(name)} are one and the same on "
                "some machines.",
                hint="Rename one of them.",
            )
