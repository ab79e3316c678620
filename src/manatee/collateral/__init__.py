"""Vendors' certificates, lists and documents, kept for appraisal without a network.

Invariants: a file appears whole or not at all; nothing is kept that does not parse as what the
operator said it is; an older document never replaces a newer one; and nothing is believed for
being here. What vendors sign is checked against pinned roots at each appraisal. Bare keys (JWKS),
which nobody signs, are held back until a person accepts them by digest.
"""

from manatee.collateral._cache import Collateral
from manatee.collateral._download import Downloader
from manatee.collateral._intel import read_tdx_parts
from manatee.collateral._item import Item, ItemKind
from manatee.collateral._nvidia import NVIDIA_OCSP, NVIDIA_RIM, fetch_gpu, fetch_rim
from manatee.collateral._read import read_item, read_items
from manatee.collateral._vendors import (
    AMD_KDS,
    INTEL_CERTIFICATES,
    INTEL_PCS,
    fetch_amd,
    fetch_intel,
    fetch_keys,
)

__all__ = [
    "AMD_KDS",
    "INTEL_CERTIFICATES",
    "INTEL_PCS",
    "NVIDIA_OCSP",
    "NVIDIA_RIM",
    "Collateral",
    "Downloader",
    "Item",
    "ItemKind",
    "fetch_amd",
    "fetch_gpu",
    "fetch_intel",
    "fetch_keys",
    "fetch_rim",
    "read_item",
    "read_items",
    "read_tdx_parts",
]
