"""Organisations with members, projects, quotas.

What was there goes on: every account becomes an organisation with itself as its member, providers
also as reviewers of outputs, which they were. Every project that a job names becomes one of the
job's researcher and its providers, to which all have agreed, open for a year more; so jobs that are
under way end as they would have.
"""

import json
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from alembic import op

from manatee._clock import system_clock, timestamp
from manatee.records import Project, canonical_json, digest_record, to_record

revision = "0002"
down_revision = "0001"

_OPEN_FOR = timedelta(days=365)


def upgrade() -> None:
    """Make the tables, and fill them from what there is."""
    _make_tables()
    now = system_clock()
    accounts = _rows("SELECT name, roles, created_at FROM accounts")
    for name, roles, created_at in accounts:
        _insert("organisations", name=name, created_at=created_at)
        held = set(roles.split(","))
        for role in sorted(held | ({"output_reviewer"} if "data_provider" in held else set())):
            _insert("memberships", account=name, organisation=name, role=role, expires_at=None)
    _change_tables()
    _adopt_projects(now)
    _count_usage()
    for column in ("project", "organisation", "guest_seconds"):
        with op.batch_alter_table("jobs") as batch:
            batch.alter_column(column, nullable=False)


def _make_tables() -> None:
    op.create_table(
        "organisations",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("created_at", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_organisations"),
    )
    op.create_table(
        "memberships",
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("organisation", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account"], ["accounts.name"], name="fk_memberships_account_accounts"
        ),
        sa.ForeignKeyConstraint(
            ["organisation"],
            ["organisations.name"],
            name="fk_memberships_organisation_organisations",
        ),
        sa.PrimaryKeyConstraint("account", "organisation", "role", name="pk_memberships"),
    )
    op.create_index("ix_memberships_organisation", "memberships", ["organisation"])
    op.create_table(
        "projects",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("starts_at", sa.Double(), nullable=False),
        sa.Column("ends_at", sa.Double(), nullable=False),
        sa.Column("proposed_by", sa.String(), nullable=False),
        sa.Column("proposed_at", sa.String(), nullable=False),
        sa.Column("stopped_by", sa.String(), nullable=True),
        sa.Column("stopped_at", sa.String(), nullable=True),
        sa.Column("stopped_reason", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["proposed_by"], ["organisations.name"], name="fk_projects_proposed_by_organisations"
        ),
        sa.PrimaryKeyConstraint("number", name="pk_projects"),
        sa.UniqueConstraint("name", name="uq_projects_name"),
    )
    op.create_table(
        "project_parties",
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("organisation", sa.String(), nullable=False),
        sa.Column("approvals_needed", sa.Integer(), nullable=False),
        sa.Column("agreed_at", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["project"], ["projects.name"], name="fk_project_parties_project_projects"
        ),
        sa.ForeignKeyConstraint(
            ["organisation"],
            ["organisations.name"],
            name="fk_project_parties_organisation_organisations",
        ),
        sa.PrimaryKeyConstraint("project", "organisation", name="pk_project_parties"),
    )
    op.create_index("ix_project_parties_organisation", "project_parties", ["organisation"])
    op.create_table(
        "project_datasets",
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("dataset", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project"], ["projects.name"], name="fk_project_datasets_project_projects"
        ),
        sa.PrimaryKeyConstraint("project", "dataset", name="pk_project_datasets"),
    )
    op.create_index("ix_project_datasets_dataset", "project_datasets", ["dataset"])
    op.create_table(
        "allowances",
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("max_jobs", sa.Integer(), nullable=True),
        sa.Column("max_guest_seconds", sa.BigInteger(), nullable=True),
        sa.Column("max_stored_bytes", sa.BigInteger(), nullable=True),
        sa.Column("jobs", sa.Integer(), nullable=False),
        sa.Column("guest_seconds", sa.BigInteger(), nullable=False),
        sa.Column("stored_bytes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "name", name="pk_allowances"),
    )


def _change_tables() -> None:
    with op.batch_alter_table("accounts") as batch:
        batch.add_column(sa.Column("organisation", sa.String(), nullable=True))
    op.execute("UPDATE accounts SET organisation = name")
    with op.batch_alter_table("accounts") as batch:
        batch.alter_column("organisation", existing_type=sa.String(), nullable=False)
        batch.drop_column("roles")
        batch.create_foreign_key(
            "fk_accounts_organisation_organisations", "organisations", ["organisation"], ["name"]
        )
    for table in ("approval_keys", "datasets"):
        with op.batch_alter_table(table) as batch:
            batch.drop_constraint(f"fk_{table}_provider_accounts", type_="foreignkey")
            batch.create_foreign_key(
                f"fk_{table}_provider_organisations", "organisations", ["provider"], ["name"]
            )
    with op.batch_alter_table("jobs") as batch:
        batch.add_column(sa.Column("project", sa.String(), nullable=True))
        batch.add_column(sa.Column("organisation", sa.String(), nullable=True))
        batch.add_column(sa.Column("guest_seconds", sa.BigInteger(), nullable=True))
        batch.add_column(sa.Column("started_at", sa.Double(), nullable=True))
        batch.create_foreign_key("fk_jobs_project_projects", "projects", ["project"], ["name"])
        batch.create_foreign_key(
            "fk_jobs_organisation_organisations", "organisations", ["organisation"], ["name"]
        )
    op.create_index("ix_jobs_project", "jobs", ["project"])
    op.create_index("ix_jobs_organisation", "jobs", ["organisation"])


def _adopt_projects(now: datetime) -> None:
    parties: dict[str, set[str]] = {}
    datasets: dict[str, set[str]] = {}
    providers: dict[str, set[str]] = {}
    work: list[tuple[str, str, str]] = []
    jobs = _rows("SELECT id, researcher, manifest FROM jobs")
    owner = dict(_rows("SELECT version, provider FROM datasets"))
    for job_id, researcher, text in jobs:
        manifest = json.loads(text)
        name = manifest["project"]
        parties.setdefault(name, set()).add(researcher)
        for use in manifest["datasets"]:
            datasets.setdefault(name, set()).add(use["name"])
            providers.setdefault(name, set()).add(owner[use["version"]])
        work.append((job_id, name, researcher))
    for name in sorted(parties):
        by = min(providers[name])
        project = to_record(
            {
                "name": name,
                "purpose": "What was under way when projects were introduced.",
                "parties": [
                    {"organisation": item, "approvals_needed": int(item in providers[name])}
                    for item in sorted(parties[name] | providers[name])
                ],
                "datasets": sorted(datasets[name]),
                "starts_at": timestamp(now),
                "ends_at": timestamp(now + _OPEN_FOR),
            },
            Project,
            what="project",
        )
        _insert(
            "projects",
            name=name,
            digest=digest_record(project),
            project=canonical_json(project).decode(),
            starts_at=now.timestamp(),
            ends_at=(now + _OPEN_FOR).timestamp(),
            proposed_by=by,
            proposed_at=timestamp(now),
        )
        for party in project.parties:
            _insert(
                "project_parties",
                project=name,
                organisation=party.organisation,
                approvals_needed=party.approvals_needed,
                agreed_at=timestamp(now),
            )
        for dataset in project.datasets:
            _insert("project_datasets", project=name, dataset=dataset)
    for job_id, name, researcher in work:  # now that there is what the jobs refer to
        _execute(
            "UPDATE jobs SET project = :project, organisation = :organisation, guest_seconds = 0"
            " WHERE id = :id",
            project=name,
            organisation=researcher,
            id=job_id,
        )


def _count_usage() -> None:
    ended = ("released", "rejected", "failed", "cancelled")
    live = f"state NOT IN {ended}"  # constants of this file
    for kind in ("organisation", "project"):
        op.execute(
            "INSERT INTO allowances (kind, name, jobs, guest_seconds, stored_bytes)"  # noqa: S608
            f" SELECT '{kind}', {kind}, count(*), 0, 0 FROM jobs WHERE {live} GROUP BY {kind}"
        )
    for name, size in _rows(
        "SELECT uploads.account, sum(blobs.size) FROM uploads"
        " JOIN blobs ON blobs.digest = uploads.digest GROUP BY uploads.account"
    ):
        found = _rows(
            "SELECT jobs FROM allowances WHERE kind = 'organisation' AND name = :name", name=name
        )
        if found:
            _execute(
                "UPDATE allowances SET stored_bytes = :size"
                " WHERE kind = 'organisation' AND name = :name",
                size=int(size),
                name=name,
            )
        else:
            _insert(
                "allowances",
                kind="organisation",
                name=name,
                jobs=0,
                guest_seconds=0,
                stored_bytes=int(size),
            )


def _rows(sql: str, **values: object) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in op.get_bind().execute(sa.text(sql), values)]


def _execute(sql: str, **values: object) -> None:
    op.get_bind().execute(sa.text(sql), values)


def _insert(table: str, **values: object) -> None:
    names = ", ".join(values)
    marks = ", ".join(f":{name}" for name in values)
    _execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", **values)  # noqa: S608


def downgrade() -> None:
    """Drop them; accounts keep what they were in the organisation of their name."""
    with op.batch_alter_table("accounts") as batch:
        batch.add_column(sa.Column("roles", sa.String(), nullable=True))
    known = {"researcher", "data_provider", "operator", "auditor"}
    for (name,) in _rows("SELECT name FROM accounts"):
        rows = _rows("SELECT role FROM memberships WHERE account = :name", name=name)
        roles = sorted({row[0] for row in rows} & known)
        _execute(
            "UPDATE accounts SET roles = :roles WHERE name = :name",
            roles=",".join(roles) or "auditor",
            name=name,
        )
    for name, created_at in _rows("SELECT name, created_at FROM organisations"):
        if not _rows("SELECT name FROM accounts WHERE name = :name", name=name):
            # a provider that is nobody's account: data sets and keys refer to it
            _execute(
                "INSERT INTO accounts (name, organisation, created_at, roles)"
                " VALUES (:name, :name, :at, 'data_provider')",
                name=name,
                at=created_at,
            )
    op.drop_index("ix_jobs_organisation", table_name="jobs")
    op.drop_index("ix_jobs_project", table_name="jobs")
    with op.batch_alter_table("jobs") as batch:
        batch.drop_constraint("fk_jobs_organisation_organisations", type_="foreignkey")
        batch.drop_constraint("fk_jobs_project_projects", type_="foreignkey")
        for column in ("project", "organisation", "guest_seconds", "started_at"):
            batch.drop_column(column)
    for table in ("approval_keys", "datasets"):
        with op.batch_alter_table(table) as batch:
            batch.drop_constraint(f"fk_{table}_provider_organisations", type_="foreignkey")
            batch.create_foreign_key(
                f"fk_{table}_provider_accounts", "accounts", ["provider"], ["name"]
            )
    with op.batch_alter_table("accounts") as batch:
        batch.alter_column("roles", existing_type=sa.String(), nullable=False)
        batch.drop_constraint("fk_accounts_organisation_organisations", type_="foreignkey")
        batch.drop_column("organisation")
    op.drop_table("allowances")
    op.drop_table("project_datasets")
    op.drop_table("project_parties")
    op.drop_table("projects")
    op.drop_table("memberships")
    op.drop_table("organisations")
