"""A run bundle as a Five Safes RO-Crate (profile 0.4, https://w3id.org/5s-crate/0.4).

The crate tells in the words of research infrastructures what the bundle proves; the bundle itself
is inside, untouched, under `run/`, and stays what is verified. The crate adds no claim: it is made
from a bundle that verified.
"""

from __future__ import annotations

import mimetypes
import uuid
from pathlib import Path
from typing import Any

from manatee.bundle._bag import write_bag
from manatee.bundle._folder import BundleContents
from manatee.bundle._statement import read_statement
from manatee.bundle._verify import Verification
from manatee.records import RunPredicate, canonical_json

PROFILE = "https://w3id.org/5s-crate/0.4"
RO_CRATE = "https://w3id.org/ro/crate/1.2"
WORKFLOW_PROFILE = "https://w3id.org/workflowhub/workflow-ro-crate/1.0"
WORKFLOW_BASE = "https://w3id.org/ro/crate/1.1"
"""The specification that the workflow profile builds on."""

METADATA = "ro-crate-metadata.json"
_COMPLETED = "http://schema.org/CompletedActionStatus"
_SHP = "https://w3id.org/shp#"
_JUPYTER = "#jupyter"
_EXECUTOR = "urn:manatee:executor"


Entity = dict[str, Any]


def _ref(identifier: str) -> Entity:
    return {"@id": identifier}


def _file(path: str, data: bytes, **members: Any) -> Entity:
    kind = "application/x-ipynb+json" if path.endswith(".ipynb") else mimetypes.guess_type(path)[0]
    return {
        "@id": path,
        "@type": "File",
        "name": path.rsplit("/", 1)[-1],
        "contentSize": str(len(data)),
        "encodingFormat": kind or "application/octet-stream",
        **members,
    }


def _descriptor(conforms_to: list[str]) -> Entity:
    return {
        "@id": METADATA,
        "@type": "CreativeWork",
        "about": _ref("./"),
        "conformsTo": [_ref(item) for item in conforms_to],
    }


def _document(graph: list[Entity], specification: str = RO_CRATE) -> bytes:
    return canonical_json({"@context": f"{specification}/context", "@graph": graph})


def _workflow_crate(contents: BundleContents, run: RunPredicate) -> dict[str, bytes]:
    """Return the notebook and its files as a Workflow RO-Crate below `workflow/`."""
    entry = run.manifest.entry_notebook
    entities = [
        _file(
            path,
            data,
            **(
                {
                    "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow"],
                    "programmingLanguage": _ref(_JUPYTER),
                }
                if path == entry
                else {}
            ),
        )
        for path, data in contents.workspace_files.items()
    ]
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": f"Workspace {run.manifest.workspace_digest}",
        "description": "The notebook that was approved, and the files beside it.",
        "datePublished": _moments(run)[-1],
        "license": "The researcher's; not stated.",
        "mainEntity": _ref(entry),
        "hasPart": [_ref(item["@id"]) for item in entities],
    }
    language = {
        "@id": _JUPYTER,
        "@type": "ComputerLanguage",
        "name": "Jupyter Notebook",
        "identifier": _ref("https://jupyter.org/"),
        "url": "https://jupyter.org/",
        "version": "nbformat 4",
    }
    graph = [_descriptor([WORKFLOW_BASE, WORKFLOW_PROFILE]), root, language, *entities]
    files = {f"workflow/{path}": data for path, data in contents.workspace_files.items()}
    return files | {f"workflow/{METADATA}": _document(graph, WORKFLOW_BASE)}


def _moments(run: RunPredicate) -> list[str]:
    """Return the brokers' times, earliest first: the only times of a run that anyone signed."""
    return sorted(session.answer.decided_at for session in run.key_releases)


def _people(run: RunPredicate) -> list[Entity]:
    manifest = run.manifest
    project = f"#project-{manifest.project}"
    approvers = {(item.statement.provider, item.statement.approver): item for item in run.approvals}
    providers = sorted({item.provider for item in run.datasets})
    return [
        {
            "@id": f"#researcher-{manifest.researcher}",
            "@type": "Person",
            "name": manifest.researcher,
            "memberOf": [_ref(project)],
        },
        {
            "@id": project,
            "@type": "Project",
            "name": manifest.project,
            "member": [_ref(f"#provider-{item}") for item in providers],
        },
        *(
            {"@id": f"#provider-{item}", "@type": "Organization", "name": item}
            for item in providers
        ),
        *(
            {
                "@id": f"#approver-{provider}-{approver}",
                "@type": "Person",
                "name": approver,
                "affiliation": _ref(f"#provider-{provider}"),
            }
            for provider, approver in sorted(approvers)
        ),
    ]


def _assessments(run: RunPredicate, verification: Verification) -> list[Entity]:
    """Return validation, sign-offs and disclosure check: who said yes, and when."""
    guest = {
        "@id": "#guest",
        "@type": "SoftwareApplication",
        "name": "ManaTEE executor",
        "url": _EXECUTOR,
        "version": run.manifest.runtime_digest,
        "description": f"Attested guest, assurance tier {_tier(verification)}.",
        "provider": [_ref(f"#provider-{item}") for item in _providers(run)],
    }
    signed = [
        {
            "@id": f"#signoff-{number}",
            "@type": "AssessAction",
            "additionalType": _ref(f"{_SHP}SignOff"),
            "name": f"{item.statement.provider} approved the job digest",
            "object": [_ref("./"), _ref("workflow/"), _ref(f"#project-{run.manifest.project}")],
            "agent": _ref(f"#approver-{item.statement.provider}-{item.statement.approver}"),
            "endTime": item.statement.approved_at,
            "actionStatus": _COMPLETED,
        }
        for number, item in enumerate(run.approvals, start=1)
    ]
    validated = {
        "@id": "#validation",
        "@type": "AssessAction",
        "additionalType": _ref(f"{_SHP}ValidationCheck"),
        "name": f"{len(verification.checks)} checks of the run bundle held",
        "object": _ref("./"),
        "instrument": _ref(PROFILE),
        "agent": _ref("#guest"),
        "actionStatus": _COMPLETED,
    }
    checked = run.result.disclosure.checks
    disclosed = {
        "@id": "#disclosure",
        "@type": "AssessAction",
        "additionalType": _ref(f"{_SHP}DisclosureCheck"),
        "name": f"{len(checked)} disclosure checks passed inside the guest",
        "description": " ".join(f"{item.title}: {item.reason}" for item in checked),
        "object": _ref("./"),
        "agent": _ref("#guest"),
        "actionStatus": _COMPLETED,
    }
    return [guest, *signed, validated, disclosed]


def _providers(run: RunPredicate) -> list[str]:
    return sorted({item.provider for item in run.datasets})


def _tier(verification: Verification) -> str:
    tier = verification.tier.value if verification.tier else "none"
    return f"{tier} (NOT A TEE)" if verification.simulated else tier


def crate_payload(contents: BundleContents, verification: Verification) -> dict[str, bytes]:
    """Return the crate's files, path to bytes, metadata included.

    Raises:
        NotVerifiedError: The bundle did not verify: no crate speaks for it.
    """
    verification.require()
    statement, _, _ = read_statement(contents.envelope)
    run = statement.predicate
    bundle = {
        "run/run.dsse.json": contents.envelope,
        "run/evidence.json": contents.evidence,
        "run/manifest.json": contents.manifest,
        **{f"run/workspace/{path}": data for path, data in contents.workspace_files.items()},
        **{f"run/outputs/{path}": data for path, data in contents.outputs.items()},
        "run/outputs.salt": contents.salt,
    }
    if contents.log_proof is not None:
        bundle["run/log.tlog-proof"] = contents.log_proof
    workflow = _workflow_crate(contents, run)
    results = [path for path in bundle if path.startswith("run/outputs/")]
    parameters: list[Entity] = [
        {
            "@id": f"#parameter-{number}",
            "@type": "PropertyValue",
            "name": name,
            "value": "null" if value is None else value,
        }
        for number, (name, value) in enumerate(sorted(run.manifest.parameters.items()), start=1)
    ]
    inputs: list[Entity] = [
        {
            "@id": f"#dataset-{item.name}",
            "@type": "DigitalDocument",
            "name": item.name,
            "description": f"Sealed data set of {item.provider}, labelled {item.label}; "
            "its key was released to this run alone.",
        }
        for item in run.datasets
    ]
    action = f"#run-{uuid.uuid5(uuid.NAMESPACE_OID, run.result.job_digest)}"
    assessments = _assessments(run, verification)
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": f"Clean room run of project {run.manifest.project}",
        "description": f"{run.manifest.purpose} Assurance tier {_tier(verification)}.",
        "datePublished": _moments(run)[-1],
        "license": _ref("#licence"),
        "publisher": [_ref(f"#provider-{item}") for item in _providers(run)],
        "conformsTo": _ref(PROFILE),
        "mainEntity": _ref("workflow/"),
        "sourceOrganization": _ref(f"#project-{run.manifest.project}"),
        "mentions": [
            _ref(action),
            *(_ref(item["@id"]) for item in assessments if item["@type"] == "AssessAction"),
        ],
        "hasPart": [_ref("workflow/"), *(_ref(path) for path in bundle)],
    }
    graph = [
        _descriptor([RO_CRATE]),
        root,
        {"@id": PROFILE, "@type": "Profile", "name": "Five Safes RO-Crate profile"},
        {
            "@id": "#licence",
            "@type": "CreativeWork",
            "name": "Terms of the data providers",
            "description": "Outputs were released under the providers' output policy "
            f"{run.output_policy.name} ({run.manifest.output_policy_digest}).",
        },
        {
            "@id": "workflow/",
            "@type": "Dataset",
            "name": "The approved notebook and its files",
            "conformsTo": _ref(WORKFLOW_PROFILE),
        },
        {
            "@id": action,
            "@type": "CreateAction",
            "name": f"Job {run.result.job_digest}",
            "agent": _ref(f"#researcher-{run.manifest.researcher}"),
            "instrument": _ref("workflow/"),
            "object": [_ref(item["@id"]) for item in (*inputs, *parameters)],
            "result": [_ref(path) for path in results],
            "startTime": _moments(run)[0],
            "actionStatus": _COMPLETED,
        },
        *_people(run),
        *assessments,
        *inputs,
        *parameters,
        *(_file(path, data) for path, data in bundle.items()),
    ]
    return bundle | workflow | {METADATA: _document(graph)}


def export_crate(path: Path, contents: BundleContents, verification: Verification) -> None:
    """Write a verified bundle as a Five Safes RO-Crate: a BagIt bag in a ZIP file.

    The same bundle gives the same bytes.

    Raises:
        NotVerifiedError: The bundle did not verify.
        ConflictError: The file exists.
        BundleError: It cannot be written.
    """
    files = crate_payload(contents, verification)
    statement, _, _ = read_statement(contents.envelope)
    job_digest = statement.predicate.result.job_digest
    name = f"run-{job_digest.removeprefix('sha256:')[:16]}"
    identifier = uuid.uuid5(uuid.NAMESPACE_OID, f"manatee-crate:{job_digest}").urn
    write_bag(path, files, name=name, identifier=identifier)
