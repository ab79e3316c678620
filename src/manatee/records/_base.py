"""What all records share: frozen, closed, and only with members of checked form."""

import base64
import binascii
from typing import Annotated

import msgspec

from manatee.errors import MalformedError
from manatee.records._forms import form

FORMAT_VERSION = 1
"""Version of every record below; a reader refuses any other."""


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A frozen value with a canonical JSON form. Unknown members are an error, never ignored.

    Subclasses repeat `frozen=True, kw_only=True`: msgspec does not inherit the second, and mypy
    wants the first.
    """


Name = Annotated[
    str,
    form(
        r"^[a-z0-9][a-z0-9._-]{0,62}\Z",
        "a name: lower-case letters, digits and . _ - (at most 63)",
    ),
]
"""Lower-case name of a person, provider, project, data set, broker, class or backend."""

RelativePath = Annotated[
    str,
    form(
        r"^(?!/)(?!.*//)(?!.*/\Z)(?!.*(?:^|/)\.{1,2}(?:/|\Z))"
        r"[^\x00-\x1f\\\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]{1,512}\Z",
        "a relative path with / between its parts, without . and .. (at most 512 characters)",
    ),
]
"""Path inside a workspace or output folder: `/` between parts, never absolute, no `.` or `..`."""

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]
"""Free text of a person, such as a purpose."""

Moment = Annotated[
    str,
    form(
        r"^[0-9]{4}(-[0-9]{2}){2}T[0-9]{2}(:[0-9]{2}){2}Z\Z",
        "a time in UTC such as 2026-01-31T12:00:00Z",
    ),
]
"""RFC 3339 time in UTC, whole seconds."""

Base64 = Annotated[str, form(r"^[A-Za-z0-9+/]*={0,2}\Z", "standard base64 with padding")]
"""Standard base64 with padding; `unbase64` checks the rest."""

Count = Annotated[int, msgspec.Meta(ge=0)]

Scalar = str | int | float | bool | None
"""What a notebook parameter may be."""


def to_base64(data: bytes) -> str:
    """Return standard base64 with padding."""
    return base64.b64encode(data).decode()


def unbase64(text: str) -> bytes:
    """Decode base64, accepting only the one encoding `to_base64` would write.

    Raises:
        MalformedError: Any other text, non-zero padding bits included.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedError("not base64.") from error
    if to_base64(data) != text:
        raise MalformedError("base64 is not in its canonical form.")
    return data
