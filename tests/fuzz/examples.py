"""The smallest JSON that a record takes, out of its type: what to start from."""

import re
from typing import Any

from msgspec import inspect

TEXTS = (
    "",
    "a",
    "sha256:" + "0" * 64,
    "2026-01-01T00:00:00Z",
    "00" * 32,
    "AAAA",
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    "00000000-0000-4000-8000-000000000000",
    "main.py",
    "https://a",
    "job-" + "0" * 16,
    "1/8",
    "A" * 43,
    "hmac-sha256:" + "0" * 64,
)


def _text(kind: inspect.StrType) -> str:
    for text in TEXTS:
        fits = kind.pattern is None or re.search(kind.pattern, text)
        if fits and len(text) >= (kind.min_length or 0):
            return text
    raise AssertionError(f"no example for {kind.pattern}")


def example_of(kind: inspect.Type) -> Any:
    """Return builtins that become a value of a type."""
    match kind:
        case inspect.StructType():
            needed = (item for item in kind.fields if item.required)
            found = {item.encode_name: example_of(item.type) for item in needed}
            return found | ({kind.tag_field: kind.tag} if kind.tag_field else {})
        case inspect.StrType():
            return _text(kind)
        case inspect.IntType():
            return max(kind.ge or 0, 0 if kind.gt is None else kind.gt + 1)
        case inspect.FloatType():
            return 1.5
        case inspect.BoolType():
            return True
        case inspect.LiteralType():
            return kind.values[0]
        case inspect.EnumType():
            return next(iter(kind.cls)).value
        case inspect.VarTupleType() | inspect.ListType():
            return [example_of(kind.item_type)] * max(1, kind.min_length or 0)
        case inspect.TupleType():
            return [example_of(item) for item in kind.item_types]
        case inspect.DictType():
            return {example_of(kind.key_type): example_of(kind.value_type)}
        case inspect.UnionType():
            return example_of(kind.types[0])
        case inspect.Metadata():
            return example_of(kind.type)
        case inspect.BytesType():
            return "AAAA"
    return None


def example(record: Any) -> Any:
    """Return builtins that become a record."""
    return example_of(inspect.type_info(record))
