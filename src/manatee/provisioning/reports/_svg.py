"""Pictures by matplotlib as inline SVG that obeys the page: its fonts, its colours, its policy.

matplotlib writes `style` attributes, which a strict content security policy forbids, and
colours that do not follow dark mode. Here styles become attributes, fixed colours become classes
that the page's style sheet paints, ids get a prefix, and everything that names an address goes.
"""

from __future__ import annotations

import io
import logging
import re
import warnings
import xml.etree.ElementTree as ET  # parses only what matplotlib has just written
from collections.abc import Callable

import matplotlib as mpl
from markupsafe import Markup, escape
from matplotlib.figure import Figure

INK, MUTED, REAL, TWIN, BOUND, GRID, PAPER = (
    "#101010",
    "#5a5a5a",
    "#1f5fa8",
    "#c2570c",
    "#7a7a7a",
    "#d0d0d0",
    "#fefefe",
)
"""Colours that pictures are drawn in; each becomes a class of the page."""

_CLASSES = {
    INK: "ink",
    MUTED: "muted",
    REAL: "real",
    TWIN: "twin",
    BOUND: "bound",
    GRID: "grid",
    PAPER: "paper",
}
_SVG = "http://www.w3.org/2000/svg"
_LINK = "{http://www.w3.org/1999/xlink}href"
_SETTINGS = {
    "svg.fonttype": "none",
    "svg.hashsalt": "manatee",
    "text.parse_math": False,
    "font.size": 10,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.edgecolor": GRID,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "figure.facecolor": "none",
    "legend.frameon": False,
    "legend.fontsize": 9.5,
}


def picture(
    name: str, size: tuple[float, float], draw: Callable[[Figure], None], *, title: str, text: str
) -> Markup:
    """Draw a figure and return it as markup for a page.

    Args:
        name: Unique on the page; letters, digits and hyphens.
        size: Inches; the page scales it.
        draw: Draws on an empty figure.
        title: The picture's name, read out first.
        text: What is to be seen, for those who do not see it.
    """
    with mpl.rc_context(_SETTINGS), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # signs that the layout's font lacks
        logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
        stream = io.StringIO()
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    root = ET.fromstring(stream.getvalue())  # noqa: S314  # written by matplotlib above
    return Markup(_rewritten(root, name, title, text))  # noqa: S704  # serialised by ElementTree


def _rewritten(root: ET.Element, name: str, title: str, text: str) -> str:
    for child in list(root):
        if child.tag == f"{{{_SVG}}}metadata":
            root.remove(child)
    for parent in root.iter():
        for child in list(parent):
            if child.tag == f"{{{_SVG}}}style":
                parent.remove(child)
    for item in root.iter():
        _rewrite_style(item)
        for member, value in list(item.attrib.items()):
            if member == "id":
                item.set(member, f"{name}-{value}")
            elif "url(#" in value:
                item.set(member, value.replace("url(#", f"url(#{name}-"))
            elif member == _LINK:
                del item.attrib[member]
                item.set("href", f"#{name}-{value.removeprefix('#')}")
        item.tag = item.tag.removeprefix(f"{{{_SVG}}}")
    for member in ("width", "height", "version"):
        root.attrib.pop(member, None)
    root.set("role", "img")
    root.set("aria-labelledby", f"{name}-title {name}-desc")
    inner = "".join(ET.tostring(child, encoding="unicode") for child in root)
    attributes = " ".join(f'{key}="{escape(value)}"' for key, value in root.attrib.items())
    return (
        f'<svg {attributes}><title id="{name}-title">{escape(title)}</title>'
        f'<desc id="{name}-desc">{escape(text)}</desc>{inner}</svg>'
    )


def _rewrite_style(item: ET.Element) -> None:
    style = item.attrib.pop("style", "")
    for rule in filter(None, (part.strip() for part in style.split(";"))):
        member, value = (part.strip() for part in rule.split(":", 1))
        if member == "font":
            size = re.search(r"([0-9.]+)px", value)
            item.set("font-size", size.group(1) if size else "10")
            if "bold" in value or re.search(r"\b[67]00\b", value):
                item.set("font-weight", "bold")
        elif member in {"font-size", "font-weight", "text-anchor"} or not member.startswith("font"):
            item.set(member, value)
    classes = []
    for member in ("fill", "stroke"):
        known = _CLASSES.get(item.get(member, ""))
        if known:
            classes.append(f"{member}-{known}")
            del item.attrib[member]
    if item.tag == f"{{{_SVG}}}text" and "fill" not in item.attrib and not classes:
        classes.append("fill-ink")
    if classes:
        item.set("class", " ".join(classes))
