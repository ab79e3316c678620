-- The tables of releases before there were migrations, as they made them (schema 1).
CREATE TABLE accounts (
    name VARCHAR NOT NULL,
    roles VARCHAR NOT NULL,
    created_at VARCHAR NOT NULL,
    PRIMARY KEY (name)
);
CREATE TABLE blobs (
    digest VARCHAR NOT NULL,
    size INTEGER NOT NULL,
    created_at VARCHAR NOT NULL,
    PRIMARY KEY (digest)
);
CREATE TABLE outbox (
    number INTEGER NOT NULL,
    job_id VARCHAR NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (number)
);
CREATE TABLE schema (
    version INTEGER NOT NULL,
    PRIMARY KEY (version)
);
CREATE TABLE approval_keys (
    provider VARCHAR NOT NULL,
    public_key VARCHAR NOT NULL,
    PRIMARY KEY (provider, public_key),
    FOREIGN KEY(provider) REFERENCES accounts (name)
);
CREATE TABLE datasets (
    number INTEGER NOT NULL,
    name VARCHAR NOT NULL,
    provider VARCHAR NOT NULL,
    version VARCHAR NOT NULL,
    twin_version VARCHAR NOT NULL,
    output_policy_digest VARCHAR NOT NULL,
    publication VARCHAR NOT NULL,
    published_at VARCHAR NOT NULL,
    PRIMARY KEY (number),
    FOREIGN KEY(provider) REFERENCES accounts (name),
    UNIQUE (version)
);
CREATE INDEX ix_datasets_name ON datasets (name);
CREATE INDEX ix_datasets_provider ON datasets (provider);
CREATE INDEX ix_datasets_twin_version ON datasets (twin_version);
CREATE TABLE jobs (
    number INTEGER NOT NULL,
    id VARCHAR NOT NULL,
    job_digest VARCHAR NOT NULL,
    researcher VARCHAR NOT NULL,
    manifest VARCHAR NOT NULL,
    state VARCHAR NOT NULL,
    version INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    guest_name VARCHAR,
    handle VARCHAR,
    key_requested BOOLEAN NOT NULL,
    phase VARCHAR,
    guest_seq INTEGER NOT NULL,
    events INTEGER NOT NULL,
    exit VARCHAR,
    cause VARCHAR,
    reason_code VARCHAR NOT NULL,
    message VARCHAR NOT NULL,
    checks_passed BOOLEAN,
    result_digest VARCHAR,
    outputs_digest VARCHAR,
    due_at DOUBLE NOT NULL,
    lease_owner VARCHAR,
    lease_until DOUBLE NOT NULL,
    created_at VARCHAR NOT NULL,
    updated_at VARCHAR NOT NULL,
    PRIMARY KEY (number),
    UNIQUE (id),
    UNIQUE (job_digest),
    FOREIGN KEY(researcher) REFERENCES accounts (name)
);
CREATE INDEX ix_jobs_researcher ON jobs (researcher);
CREATE INDEX jobs_by_state ON jobs (state, due_at);
CREATE TABLE tokens (
    digest VARCHAR NOT NULL,
    account VARCHAR NOT NULL,
    expires_at DOUBLE NOT NULL,
    PRIMARY KEY (digest),
    FOREIGN KEY(account) REFERENCES accounts (name)
);
CREATE INDEX ix_tokens_account ON tokens (account);
CREATE TABLE uploads (
    digest VARCHAR NOT NULL,
    account VARCHAR NOT NULL,
    PRIMARY KEY (digest, account),
    FOREIGN KEY(digest) REFERENCES blobs (digest),
    FOREIGN KEY(account) REFERENCES accounts (name)
);
CREATE TABLE approvals (
    job_id VARCHAR NOT NULL,
    provider VARCHAR NOT NULL,
    digest VARCHAR NOT NULL,
    approval VARCHAR NOT NULL,
    PRIMARY KEY (job_id, provider, digest),
    FOREIGN KEY(job_id) REFERENCES jobs (id)
);
CREATE TABLE job_datasets (
    job_id VARCHAR NOT NULL,
    version VARCHAR NOT NULL,
    PRIMARY KEY (job_id, version),
    FOREIGN KEY(job_id) REFERENCES jobs (id),
    FOREIGN KEY(version) REFERENCES datasets (version)
);
CREATE INDEX ix_job_datasets_version ON job_datasets (version);
CREATE TABLE job_events (
    job_id VARCHAR NOT NULL,
    seq INTEGER NOT NULL,
    job_version INTEGER,
    event VARCHAR NOT NULL,
    PRIMARY KEY (job_id, seq),
    UNIQUE (job_id, job_version),
    FOREIGN KEY(job_id) REFERENCES jobs (id)
);
CREATE TABLE reviews (
    job_id VARCHAR NOT NULL,
    provider VARCHAR NOT NULL,
    decision VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    reviewer VARCHAR NOT NULL,
    at VARCHAR NOT NULL,
    PRIMARY KEY (job_id, provider),
    FOREIGN KEY(job_id) REFERENCES jobs (id)
);