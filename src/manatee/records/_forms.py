"""Forms of text members: the pattern that decides, and the words that tell a person."""

import re

import msgspec

_WORDS: dict[str, str] = {}

_TYPES = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "null": "null",
    "array": "a list",
    "object": "a JSON object",
    "bytes": "base64",
}
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>.*?)`(?: - at |\Z)", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(?P<name>[a-z0-9_]+)`")
_RANGE = re.compile(r"Expected `(?P<kind>[a-z]+)` (?P<length>of length )?(?P<bound>[<>]=? ?-?\d+)")
_EXPECTED = re.compile(r"Expected `(?P<wanted>[a-z |]+)`, got `(?P<got>[a-z]+)`")
_PLACE = re.compile(r" - at `(?:key in )?(?P<place>\$[^`]{0,200})`\Z")


def form(pattern: str, words: str) -> msgspec.Meta:
    """Return the constraint of a text member, and keep what to call it.

    Args:
        pattern: Regular expression the whole text must match.
        words: What such a text is, after "must be".
    """
    _WORDS[pattern] = words
    return msgspec.Meta(pattern=pattern)


def explain(said: str) -> str:
    """Turn msgspec's message into one that names the member and what it must be, in words.

    The result quotes neither the value nor a pattern. A member nobody knows is named, escaped.
    """
    place = _PLACE.search(said)
    member = f"member {place['place']}" if place else "the whole"
    if unknown := _UNKNOWN.match(said):
        name = unknown["name"][:60].encode("unicode_escape").decode()
        return f"{member} must not hold the member {name}."
    if missing := _MISSING.match(said):
        return f"{member} must hold the member {missing['name']}."
    for pattern, words in _WORDS.items():
        if f"regex {pattern!r}" in said:
            return f"{member} must be {words}."
    if limits := _RANGE.match(said):
        kind = _TYPES.get(limits["kind"], "a value")
        return (
            f"{member} must be {kind}{' of length' if limits['length'] else ''} {limits['bound']}."
        )
    if types := _EXPECTED.match(said):
        wanted = " or ".join(_TYPES.get(kind, "a value") for kind in types["wanted"].split(" | "))
        return f"{member} must be {wanted}, not {_TYPES.get(types['got'], 'what it is')}."
    if said.startswith("Invalid enum value"):
        return f"{member} must be one of the listed values."
    return f"{member} has not the form wanted."
