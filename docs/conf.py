"""Sphinx configuration; reference pages are generated from the code at every build."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from _generate import write_reference

project = "ManaTEE"
author = "The ManaTEE authors"
extensions = ["myst_parser"]
html_theme = "furo"
exclude_patterns = ["_build"]
myst_heading_anchors = 3
write_reference(Path(__file__).parent / "reference")
