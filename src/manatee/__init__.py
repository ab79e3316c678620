"""The two-stage clean room: explore safe data, run once in a TEE on the private data.

What a notebook imports. Importing this package is quick: it pulls in no data library.
"""

from manatee.notebook import dataset, params, publish

__all__ = ["dataset", "params", "publish"]
