"""Reads a signed XML document safely: no document type, no entity, exactly one signature.

The signature is XML-DSig, enveloped, over the whole document (W3C, XML Signature 1.1). What comes
back is what the signature is over, parsed anew, and nothing else of the document.
"""

from __future__ import annotations

import base64
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

from cryptography import x509

from manatee.attestation._certificates import read_certificate
from manatee.errors import AppraisalRefusedError, AttestationError, MalformedError

if TYPE_CHECKING:
    from lxml.etree import _Element as Element

MAX_XML_BYTES = 256 << 10
_MAX_DEPTH = 16
_MAX_ELEMENTS = 2000
_MAX_CERTIFICATES = 5
_ALLOWED_DECLARATION = re.compile(
    rb"<\?xml version=[\"']1\.0[\"']( encoding=[\"'](?i:utf-8|us-ascii)[\"'])?"
    rb"( standalone=[\"'](yes|no)[\"'])?\s*\?>"
)

_DS = "{http://www.w3.org/2000/09/xmldsig#}"
_C14N = ("http://www.w3.org/2006/12/xml-c14n11", "http://www.w3.org/TR/2001/REC-xml-c14n-20010315")
_ENVELOPED = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
_ECDSA_SHA384 = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384"
_SHA384 = "http://www.w3.org/2001/04/xmldsig-more#sha384"


def read_xml(data: bytes) -> Element:
    """Parse a document, resolving and fetching nothing.

    Raises:
        MalformedError: It is not plain XML in UTF-8, or is too large or too deep.
        AttestationError: lxml is not installed.
    """
    etree, _ = _libraries()
    if len(data) > MAX_XML_BYTES:
        raise MalformedError(f"a manifest has at most {MAX_XML_BYTES} bytes.")
    body = data.removeprefix(b"\xef\xbb\xbf")
    declaration = _ALLOWED_DECLARATION.match(body)
    rest = body[declaration.end() :] if declaration else body
    if b"<!" in rest or b"<?" in rest:
        # document types, entities, CDATA and comments all begin so; processing instructions too
        raise MalformedError("a manifest holds nothing but elements and text.")
    try:
        parser = etree.XMLParser(
            encoding="utf-8",
            resolve_entities=False,
            load_dtd=False,
            no_network=True,
            dtd_validation=False,
            huge_tree=False,
        )
        root: Element = etree.fromstring(rest, parser)
    except etree.XMLSyntaxError as error:
        raise MalformedError("a manifest is not XML.") from error
    _check_shape(root)
    return root


def _check_shape(root: Element) -> None:
    count = 0
    level = [root]
    for _ in range(_MAX_DEPTH):
        count += len(level)
        if count > _MAX_ELEMENTS:
            break
        level = [child for element in level for child in element]
        if not level:
            return
    raise MalformedError("a manifest has too many elements, or is nested too deeply.")


def signers(root: Element) -> tuple[x509.Certificate, ...]:
    """Return the certificates of the document's one signature, signer first.

    Raises:
        AppraisalRefusedError: There is not exactly one signature, the last child of the root.
        MalformedError: It has no certificates, or too many, or they cannot be read.
    """
    found = list(root.iter(f"{_DS}Signature"))
    if len(found) != 1 or len(root) == 0 or root[-1] is not found[0]:
        raise AppraisalRefusedError("a manifest has one signature, at its end.")
    listed = found[0].findall(f"{_DS}KeyInfo/{_DS}X509Data/{_DS}X509Certificate")
    if not 2 <= len(listed) <= _MAX_CERTIFICATES:
        raise MalformedError("a manifest's signature comes with a chain of certificates.")
    return tuple(read_certificate(_decode(item.text)) for item in listed)


def _decode(text: str | None) -> bytes:
    try:
        return base64.b64decode("".join((text or "").split()).encode("ascii"), validate=True)
    except ValueError as error:
        raise MalformedError("a manifest's certificate is not base64.") from error


def signed_part(root: Element, signer: x509.Certificate, *, at: datetime) -> Element:
    """Verify the signature by a certificate's key and return what it is over.

    Args:
        root: From `read_xml`.
        signer: Whose path the caller has checked, or checks.
        at: The moment the certificate must be valid at: signxml looks, and has a clock otherwise.

    Raises:
        AppraisalRefusedError: The signature does not hold, or is not of the one form accepted:
            enveloped, over the whole document, ECDSA with SHA-384, canonical XML.
        AttestationError: signxml is not installed.
    """
    etree, signxml = _libraries()
    _check_form(root[-1])
    configuration = signxml.SignatureConfiguration(
        require_x509=True,
        location="./",
        expect_references=1,
        signature_methods=frozenset({signxml.SignatureMethod.ECDSA_SHA384}),
        digest_algorithms=frozenset({signxml.DigestAlgorithm.SHA384}),
        verification_time=at,
    )
    try:
        verified = signxml.XMLVerifier().verify(root, x509_cert=signer, expect_config=configuration)
    except (signxml.exceptions.SignXMLException, etree.LxmlError, ValueError, TypeError) as error:
        raise AppraisalRefusedError("the manifest's signature does not hold.") from error
    part: Element = verified.signed_xml  # the whole: the form accepted refers to nothing else
    return part


def _check_form(signature: Element) -> None:
    def algorithms(*path: str) -> list[str]:
        where = "/".join(_DS + name for name in ("SignedInfo", *path))
        return [item.get("Algorithm", "") for item in signature.findall(where)]

    references = signature.findall(f"{_DS}SignedInfo/{_DS}Reference")
    transforms = algorithms("Reference", "Transforms", "Transform")
    held = (
        [item.attrib for item in references] == [{"URI": ""}]
        and algorithms("SignatureMethod") == [_ECDSA_SHA384]
        and algorithms("Reference", "DigestMethod") == [_SHA384]
        and all(name in _C14N for name in algorithms("CanonicalizationMethod"))
        and transforms[:1] == [_ENVELOPED]
        and len(transforms) == 2
        and transforms[1] in _C14N
    )
    if not held:
        raise AppraisalRefusedError("the manifest's signature is not of the form accepted.")


def _libraries() -> tuple[Any, Any]:
    try:
        import signxml
        from lxml import etree
    except ImportError as error:
        raise AttestationError(
            "reference manifests need lxml and signxml.", hint="pip install 'manatee[attest]'"
        ) from error
    return etree, signxml
