"""Where NVIDIA keeps what its GPUs need: reference manifests, and answers on revocation.

The addresses are those of NVIDIA's own verifier. Nothing is believed for where it came from: both
are signed, and each appraisal checks that.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import itertools
import re
from collections.abc import Iterator, Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from manatee.attestation._gpu.manifest_xml import read_xml, signers
from manatee.attestation._gpu.measurements import driver_manifest_id, vbios_manifest_id
from manatee.attestation._gpu.payload import parse_payload
from manatee.attestation._gpu.revocation import check_subject, read_statement
from manatee.attestation._vendor_roots import der
from manatee.collateral._download import Downloader
from manatee.collateral._item import Item, ItemKind
from manatee.collateral._read import read_item
from manatee.errors import (
    AppraisalRefusedError,
    AppraisalUnavailableError,
    InputError,
    MalformedError,
)
from manatee.records import parse_json

NVIDIA_RIM = "https://rim.attestation.nvidia.com"
NVIDIA_OCSP = "https://ocsp.ndis.nvidia.com"

_REQUEST = "application/ocsp-request"
_RIM_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,120}")
_ARCHITECTURES = ("hopper", "blackwell")


def fetch_gpu(
    evidence: bytes, get: Downloader, *, base: str = NVIDIA_RIM, responder: str = NVIDIA_OCSP
) -> tuple[Item, ...]:
    """Fetch what a machine's GPU reports need: both manifests of each, and answers on revocation.

    Answers are asked for of every certificate below the roots but the GPUs' signing keys: those
    were certified by the GPUs themselves, which answer nobody.

    Args:
        evidence: The reports; no signature is checked.
        get: Who goes to the network.
        base: Address of the manifests' service.
        responder: Address of the OCSP responder (RFC 6960, appendix A.1, by POST).

    Raises:
        MalformedError: The reports or an answer cannot be read.
        InputError: A report is of an architecture that is not known here.
        AppraisalRefusedError: A manifest is not signed, or by nobody who could be asked about.
        NotFoundError, AppraisalUnavailableError, TooLargeError: See `Downloader.get`.
    """
    gpus = parse_payload(evidence)
    identifiers: list[str] = []
    for gpu in gpus:
        if gpu.said_architecture not in _ARCHITECTURES:
            raise InputError(f"a report's architecture must be one of {_ARCHITECTURES}.")
        opaque = gpu.report.opaque
        identifiers.append(driver_manifest_id(opaque, gpu.said_architecture))
        identifiers.append(vbios_manifest_id(opaque))
    manifests = fetch_rim(tuple(dict.fromkeys(identifiers)), get, base=base)
    chains = [gpu.chain[1:] for gpu in gpus]
    chains += [signers(read_xml(item.data)) for item in manifests]
    return (*manifests, *_answers(chains, get, responder))


def _answers(
    chains: Sequence[Sequence[x509.Certificate]], get: Downloader, responder: str
) -> Iterator[Item]:
    pairs = {
        hashlib.sha256(der(lower)).hexdigest(): (lower, upper)
        for chain in chains
        for lower, upper in itertools.pairwise(chain)
    }
    for name, (lower, upper) in pairs.items():
        request = ocsp.OCSPRequestBuilder().add_certificate(lower, upper, hashes.SHA256()).build()
        answer = get.post(responder, request.public_bytes(Encoding.DER), content_type=_REQUEST)
        found = read_statement(answer.body)
        if found is None:
            raise AppraisalUnavailableError(
                "NVIDIA's responder could not answer for a certificate.",
                hint="What is in the cache stays as it was. Try again later.",
            )
        try:
            check_subject(found, lower, upper)
        except AppraisalRefusedError as error:
            raise MalformedError("NVIDIA's answer is for another certificate.") from error
        yield read_item(answer.body, ItemKind.OCSP, name=name)


def fetch_rim(
    identifiers: Sequence[str], get: Downloader, *, base: str = NVIDIA_RIM
) -> tuple[Item, ...]:
    """Fetch NVIDIA reference integrity manifests by id.

    Raises:
        InputError: An id has the wrong form.
        MalformedError: An answer is not a manifest, or not the one asked for.
        NotFoundError, AppraisalUnavailableError, TooLargeError: See `Downloader.get`.
    """
    found = []
    for identifier in identifiers:
        if not _RIM_ID.fullmatch(identifier):
            raise InputError("a manifest's id is letters, digits and . _ -")
        answer = parse_json(get.get(f"{base}/v1/rim/{identifier}").body)
        if not isinstance(answer, dict) or answer.get("id") != identifier:
            raise MalformedError("NVIDIA's answer is not for the manifest asked for.")
        manifest = _unwrapped(answer)
        found.append(read_item(manifest, ItemKind.RIM, name=identifier))
    return tuple(found)


def _unwrapped(answer: dict[str, object]) -> bytes:
    text = answer.get("rim")
    if not isinstance(text, str):
        raise MalformedError("NVIDIA's answer holds no manifest.")
    try:
        manifest = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedError("NVIDIA's manifest is not base64.") from error
    stated = answer.get("sha256")
    if stated is not None and stated != hashlib.sha256(manifest).hexdigest():
        raise MalformedError("NVIDIA's manifest is not the one its answer states.")
    return manifest
