"""The one tar form a workspace archive has (POSIX.1-2001 ustar, with a pax path where needed).

Members are sorted by the bytes of their path; a folder stands before what it holds. Times, user
and group are zero, names of user and group empty, modes 0644 for files and 0755 for folders. A
path that is longer than 100 bytes or not ASCII goes into a pax header with that one record. The
end is two zero blocks, without further padding. Any tar reads it; only these bytes are accepted.
"""

from collections.abc import Callable

from manatee.errors import WorkspaceError
from manatee.workspace._names import printable

BLOCK = 512
END = bytes(2 * BLOCK)

_NAME_BYTES = 100
_MAX_PAX_BYTES = 4096
_FILE = b"0"
_FOLDER = b"5"
_PAX = b"x"
_PAX_NAME = b"pax/path"
_LONG_NAME = b"pax/long"


def padding(size: int) -> bytes:
    """Return the zero bytes between a file's end and the next block."""
    return bytes(-size % BLOCK)


def _block(name: bytes, size: int, kind: bytes) -> bytes:
    mode = b"0000755" if kind == _FOLDER else b"0000644"
    header = bytearray(BLOCK)
    header[0 : len(name)] = name
    header[100:107] = mode
    header[108:115] = b"0000000"
    header[116:123] = b"0000000"
    header[124:135] = b"%011o" % size
    header[136:147] = b"00000000000"
    header[148:156] = b" " * 8
    header[156:157] = kind
    header[257:265] = b"ustar\x0000"
    header[329:336] = b"0000000"
    header[337:344] = b"0000000"
    header[148:156] = b"%06o\x00 " % sum(header)
    return bytes(header)


def _pax_record(path: bytes) -> bytes:
    rest = b" path=" + path + b"\n"
    length = len(rest)
    while length != len(rest) + len(str(length)):
        length = len(rest) + len(str(length))
    return str(length).encode() + rest


def member_header(name: str, size: int, *, folder: bool) -> bytes:
    """Return everything that stands before a member's bytes.

    Args:
        name: Path inside the workspace, without a slash at its end.
        size: Length of the file in bytes; 0 for a folder.
        folder: Whether the member is a folder.
    """
    path = (name + "/" if folder else name).encode()
    kind = _FOLDER if folder else _FILE
    if len(path) <= _NAME_BYTES and path.isascii():
        return _block(path, size, kind)
    record = _pax_record(path)
    pax = _block(_PAX_NAME, len(record), _PAX) + record + padding(len(record))
    return pax + _block(_LONG_NAME, size, kind)


def _octal(field: bytes) -> int:
    try:
        return int(field.rstrip(b"\x00"), 8)
    except ValueError as error:
        raise _foreign() from error


def _foreign() -> WorkspaceError:
    return WorkspaceError(
        "the archive is not one that ManaTEE packed.", hint="Pack the folder again."
    )


class HeaderReader:
    """Reads member headers and refuses every one that `member_header` would not write.

    `read` returns exactly as many bytes as asked for, or raises.
    """

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read

    def next(self) -> tuple[str, int, bool] | None:
        """Return path, size in bytes and whether it is a folder; None at the end mark.

        Raises:
            WorkspaceError: The bytes are not a header of ours.
        """
        raw = self._read(BLOCK)
        if raw == END[:BLOCK]:
            if self._read(BLOCK) != END[BLOCK:]:
                raise _foreign()
            return None
        path = raw[:_NAME_BYTES].split(b"\x00", 1)[0]
        block = raw
        if raw[156:157] == _PAX:
            length = _octal(raw[124:136])
            if not 0 < length <= _MAX_PAX_BYTES:
                raise _foreign()
            record = self._read(length + len(padding(length)))
            raw += record
            path = record[:length].partition(b" path=")[2].removesuffix(b"\n")
            block = self._read(BLOCK)
            raw += block
        folder = block[156:157] == _FOLDER
        size = _octal(block[124:136])
        try:
            name = path.decode("utf-8")
        except UnicodeDecodeError as error:
            raise _foreign() from error
        if folder:
            if not name.endswith("/"):
                raise _foreign()
            name = name[:-1]
        if size < 0 or (folder and size) or member_header(name, size, folder=folder) != raw:
            raise WorkspaceError(
                f"the archive's member {printable(name)} is not as ManaTEE packs it (a link, a "
                "device, another mode, owner or time).",
                hint="Pack the folder again.",
            )
        return name, size, folder
