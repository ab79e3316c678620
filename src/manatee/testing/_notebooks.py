"""Notebooks made of source texts, for tests and benchmarks."""

from __future__ import annotations

import json
from typing import Any


def notebook_of(*sources: str) -> str:
    """Return an nbformat 4.5 notebook for the Python kernel with one code cell per source."""
    cells: list[dict[str, Any]] = [
        {
            "cell_type": "code",
            "id": f"cell-{number}",
            "metadata": {},
            "execution_count": None,
            "outputs": [],
            "source": source,
        }
        for number, source in enumerate(sources)
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return json.dumps({"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})
