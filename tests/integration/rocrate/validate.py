"""Run the RO-Crate validator on folders, offline: the context it would fetch comes from a file.

    python validate.py CONTEXTS PROFILE FOLDER

Prints one line an issue and exits 1 if there is any, 3 if a check could not be carried out.
"""

import io
import logging
import sys
import urllib.request
from pathlib import Path

contexts, profile, folder = sys.argv[1:]
CONTEXTS = {
    f"https://w3id.org/ro/crate/{version}/context": Path(contexts, f"context-{version}.jsonld")
    for version in ("1.1", "1.2")
}


class _Answer(io.BytesIO):
    status = 200
    code = 200

    def __init__(self, url: str) -> None:
        self.headers = {"Content-Type": "application/ld+json"}
        super().__init__(CONTEXTS[url].read_bytes())
        self.url = url

    def info(self) -> dict[str, str]:
        return self.headers

    def geturl(self) -> str:
        return self.url


def _open(request, *args, **kwargs):
    url = str(getattr(request, "full_url", request))
    if url not in CONTEXTS:
        raise OSError(f"nothing is fetched: {url}")
    return _Answer(url)


urllib.request.urlopen = _open
import rdflib.parser  # noqa: E402
import rdflib.plugins.shared.jsonld.util as jsonld  # noqa: E402

for module in (rdflib.parser, jsonld):
    if hasattr(module, "_urlopen"):
        module._urlopen = _open
    if hasattr(module, "urlopen"):
        module.urlopen = _open

import requests  # noqa: E402


def _get(self, url, **kwargs):
    answer = requests.Response()
    answer.url = url
    answer.status_code = 200 if url in CONTEXTS else 404
    answer.headers["Content-Type"] = "application/ld+json"
    answer._content = CONTEXTS[url].read_bytes() if url in CONTEXTS else b""
    return answer


requests.Session.get = _get
requests.Session.request = lambda self, method, url, **kwargs: _get(self, url)

from rocrate_validator import models, services  # noqa: E402


class _Heard(logging.Handler):
    broken = 0

    def emit(self, record: logging.LogRecord) -> None:
        if "Unexpected error" in record.getMessage():
            self.broken += 1
            print(record.getMessage()[:300])


heard = _Heard()
logging.getLogger().addHandler(heard)
result = services.validate(
    services.ValidationSettings(
        rocrate_uri=folder,
        profile_identifier=profile,
        requirement_severity=models.Severity.REQUIRED,
        abort_on_first=False,
    )
)
for issue in result.get_issues():
    print(issue.severity.name, issue.check.identifier, issue.message)
sys.exit(3 if heard.broken else 1 if result.has_issues() else 0)
