"""Runtimes: the locked environments notebooks run in, and the digest that names one."""

from manatee.runtime._description import RuntimeDescription, describe_runtime, runtime_digest
from manatee.runtime._layout import runtime_python, runtime_roots

__all__ = [
    "RuntimeDescription",
    "describe_runtime",
    "runtime_digest",
    "runtime_python",
    "runtime_roots",
]
