"""`manatee attest collateral`: fetch, import, accept and show what vendors state."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from manatee._clock import system_clock, timestamp
from manatee.cli._attest_input import read_evidence, read_file, read_moment
from manatee.cli._options import Output
from manatee.cli._output import Format, print_json, print_rows
from manatee.collateral import (
    AMD_KDS,
    INTEL_CERTIFICATES,
    INTEL_PCS,
    NVIDIA_OCSP,
    NVIDIA_RIM,
    Collateral,
    Downloader,
    Item,
    ItemKind,
    fetch_amd,
    fetch_gpu,
    fetch_intel,
    fetch_keys,
    fetch_rim,
    read_items,
    read_tdx_parts,
)
from manatee.collateral._cache import Kept
from manatee.collateral._intel import TdxParts
from manatee.errors import InputError
from manatee.records import unbase64

commands = typer.Typer(
    help="Vendors' certificates and documents, kept for appraisal without a network.",
    no_args_is_help=True,
)

Folder = Annotated[Path, typer.Option("--collateral", help="Collateral folder; made if missing.")]
Insecure = Annotated[
    bool,
    typer.Option("--insecure-http", help="Allow addresses without TLS, for a mirror of your own."),
]


def _row(one: Kept, at: datetime) -> dict[str, object]:
    item = one.item
    age = item.age(at)
    return {
        "kind": item.kind.value,
        "name": item.name,
        "title": item.title,
        "sha256": item.digest,
        "issued": timestamp(item.issued) if item.issued else None,
        "age_seconds": None if age is None else int(age.total_seconds()),
        "expires": timestamp(item.expires) if item.expires else None,
        "over": item.over(at),
        "kept_at": timestamp(one.kept_at),
        "source": one.source,
        "held": one.held,
    }


def _print(kept: tuple[Kept, ...], at: datetime, output: Format) -> None:
    rows = [_row(one, at) for one in kept]
    if output is Format.JSON:
        print_json(rows)
        return
    names = ("kind", "title", "issued", "expires", "state", "sha256")
    table = []
    for row in rows:
        state = "held" if row["held"] else "over" if row["over"] else "in force"
        shown = row | {"state": state}
        table.append(tuple(str(shown[name] or "–") for name in names))
    print_rows(names, table)
    if any(row["held"] for row in rows):
        sys.stderr.write(
            "Held keys are not used. Compare the digest with the vendor's over another way, then: "
            "manatee attest collateral accept NAME --sha256 DIGEST\n"
        )


@commands.command("fetch")
def fetch(
    what: Annotated[
        str, typer.Argument(help="amd (a report), intel (a quote), gpu (reports), keys or rim.")
    ],
    collateral: Folder,
    file: Annotated[
        Path | None, typer.Option(help="SEV-SNP report, TDX quote or GPU reports.")
    ] = None,
    base: Annotated[str, typer.Option(help="Address of a mirror; the vendor's if not given.")] = "",
    certificates: Annotated[
        str, typer.Option(help="Address of the root's revocation list (intel).")
    ] = INTEL_CERTIFICATES,
    responder: Annotated[
        str, typer.Option(help="Address that answers on revocation (gpu).")
    ] = NVIDIA_OCSP,
    product: Annotated[str, typer.Option(help="Milan, Genoa or Turin (amd).")] = "",
    address: Annotated[str, typer.Option(help="Address of the key set (keys).")] = "",
    issuer: Annotated[str, typer.Option(help="Exact issuer of the tokens (keys).")] = "",
    identifier: Annotated[list[str] | None, typer.Option("--id", help="Manifest (rim).")] = None,
    insecure_http: Insecure = False,
    output: Output = Format.TABLE,
) -> None:
    """Fetch collateral. If anything is wrong with an answer, the folder stays as it was."""
    cache = Collateral.open(collateral)
    with Downloader(insecure_http=insecure_http) as get:
        items: tuple[Item, ...]
        if what == "amd":
            items = fetch_amd(_given(file), get, base=base or AMD_KDS, product=product)
        elif what == "intel":
            items = fetch_intel(
                _given(file), get, base=base or INTEL_PCS, certificates=certificates
            )
        elif what == "gpu":
            evidence = read_evidence(_path(file), "nvidia-gpu")
            items = fetch_gpu(
                unbase64(evidence.payload), get, base=base or NVIDIA_RIM, responder=responder
            )
        elif what == "keys" and address:
            items = fetch_keys(address, issuer, get)
        elif what == "rim" and identifier:
            items = fetch_rim(identifier, get, base=base or NVIDIA_RIM)
        else:
            raise InputError(
                "say what to fetch: amd, intel or gpu with --file, keys with --address and "
                "--issuer, or rim with --id."
            )
    now = system_clock()
    source = address or base or what
    _print(cache.put(items, at=now, source=source, held=what == "keys"), now, output)


def _path(file: Path | None) -> Path:
    if file is None:
        raise InputError("--file must name the report or quote to fetch for.")
    return file


def _given(file: Path | None) -> bytes:
    return read_file(_path(file))


@commands.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="File, or for tdx-parts a folder.")],
    kind: Annotated[
        str, typer.Option("--as", help="What it is: " + ", ".join([*ItemKind, "tdx-parts"]) + ".")
    ],
    collateral: Folder,
    name: Annotated[
        str, typer.Option(help="Issuer of jwks, id of rim, fingerprint for ocsp, label of crl.")
    ] = "",
    output: Output = Format.TABLE,
) -> None:
    """Put a file into the folder, as exactly what you say it is.

    tdx-parts is a folder with Intel's answers: tcb_info.json, tcb_signing_chain.pem,
    qe_identity.json, qe_identity_signing_chain.pem, pck_crl.der, pck_crl_issuer_chain.pem and
    root_ca_crl.der.
    """
    if kind == "tdx-parts":
        parts = TdxParts(
            tcb_info=read_file(file / "tcb_info.json"),
            tcb_info_chain=read_file(file / "tcb_signing_chain.pem"),
            qe_identity=read_file(file / "qe_identity.json"),
            qe_identity_chain=read_file(file / "qe_identity_signing_chain.pem"),
            pck_crl=read_file(file / "pck_crl.der"),
            pck_crl_chain=read_file(file / "pck_crl_issuer_chain.pem"),
            root_crl=read_file(file / "root_ca_crl.der"),
        )
        items: tuple[Item, ...] = (read_tdx_parts(parts),)
    elif kind in set(ItemKind):
        items = read_items(read_file(file), ItemKind(kind), name=name)
    else:
        raise InputError(f"--as must be one of: {', '.join([*ItemKind, 'tdx-parts'])}.")
    now = system_clock()
    kept = Collateral.open(collateral).put(items, at=now, source=file.name)
    _print(kept, now, output)


@commands.command("accept")
def accept(
    name: Annotated[str, typer.Argument(help="Name that show -o json gives.")],
    sha256: Annotated[str, typer.Option(help="Digest you got over another way.")],
    collateral: Folder,
    output: Output = Format.TABLE,
) -> None:
    """Use keys that were held. Their digest must come from elsewhere than the download."""
    now = system_clock()
    kept = Collateral.open(collateral).accept(name, sha256, at=now)
    _print((kept,), now, output)


@commands.command("show")
def show(
    collateral: Folder,
    at: Annotated[str, typer.Option("--at", help="Moment to judge at, UTC.")] = "",
    output: Output = Format.TABLE,
) -> None:
    """Show what the folder holds, how old it is, and what is over or held."""
    moment = read_moment(at) if at else system_clock()
    _print(Collateral.open(collateral).kept(), moment, output)
