"""Parameters: what the notebook declared, overridden by what the submission gave."""

from collections.abc import Mapping

from manatee.errors import UnknownParameterError
from manatee.records import Scalar
from manatee.workspace._names import printable

_WORDS: dict[type, str] = {
    str: "text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    type(None): "null",
}


def _fits(default: Scalar, value: Scalar) -> bool:
    if default is None:
        return True
    if isinstance(default, float) and not isinstance(value, bool):
        return isinstance(value, int | float)
    return type(value) is type(default)


def check_parameters(
    declared: Mapping[str, Scalar], given: Mapping[str, Scalar]
) -> dict[str, Scalar]:
    """Return the parameters of a run: declared defaults, with the given values in their place.

    A value must be of its default's type; a whole number may stand for a number, and a default
    of null takes any value.

    Raises:
        UnknownParameterError: A name the notebook does not declare, or a value of another type.
    """
    for name, value in given.items():
        if name not in declared:
            known = ", ".join(sorted(declared)) or "none"
            raise UnknownParameterError(
                f"the notebook declares no parameter {printable(name)}.",
                hint=f"It declares: {known} (metadata.manatee.parameters).",
            )
        if not _fits(declared[name], value):
            raise UnknownParameterError(
                f"parameter {name} must be {_WORDS[type(declared[name])]}, "
                f"not {_WORDS.get(type(value), 'something else')}."
            )
    return {**declared, **given}
