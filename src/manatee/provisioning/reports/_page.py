"""One HTML file without any request: styles inside, by digest, and no script at all."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

_POLICY = "default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def render(template: str, **values: Any) -> str:
    """Fill a template; everything that is not markup already is escaped."""
    folder = files("manatee.provisioning.reports").joinpath("templates")
    style = folder.joinpath("style.css").read_text()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=None,
    )
    environment.filters.update(percent=percent, number=number)
    parts = environment.from_string(folder.joinpath("parts.html").read_text()).module
    page = environment.from_string(folder.joinpath(template).read_text())
    return page.render(
        style=Markup(style),  # noqa: S704  # a file of this package
        policy=_POLICY.format(digest=digest),
        parts=parts,
        **values,
    )


def percent(value: float) -> str:
    """Return a share in per cent, never rounding something to nothing."""
    shown = 100 * value
    if shown == 0 or shown >= 99.95:
        return f"{shown:.0f}%"
    if shown < 0.01:
        return "under 0.01%"
    return f"{shown:.2g}%" if shown < 10 else f"{shown:.1f}".removesuffix(".0") + "%"


def number(value: float | None) -> str:
    """Return a number of three or four significant digits."""
    if value is None:
        return "none"
    if value == 0 or (float(value).is_integer() and abs(value) < 1e15):
        return f"{value:,.0f}"
    if 1000 <= abs(value) < 1e15:
        return f"{value:,.0f}"
    return f"{value:.4g}" if abs(value) >= 1e-3 else f"{value:.2e}"
