-- Times are milliseconds since 1970, money is micro-dollars, JSON is text.
CREATE TABLE jobs (
    id TEXT PRIMARY KEY,
    principal TEXT NOT NULL,
    kind TEXT NOT NULL,
    mode TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'submitting', 'submit_unknown', 'running', 'parked', 'downloading', 'succeeded', 'failed', 'cancelled')),
    request TEXT NOT NULL CHECK (json_valid(request)),
    request_hash TEXT NOT NULL,
    idempotency_key TEXT,
    max_cost INTEGER,
    save_as TEXT,
    labels TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(labels)),
    priority INTEGER NOT NULL DEFAULT 0,
    warnings TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(warnings)),
    retry_of TEXT,
    parent_job_id TEXT,
    cancel_requested_at INTEGER,
    delivered_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    finished_at INTEGER
) STRICT;
CREATE UNIQUE INDEX jobs_key ON jobs (principal, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX jobs_same ON jobs (principal, request_hash, id);
CREATE INDEX jobs_newest ON jobs (principal, id);
CREATE INDEX jobs_active ON jobs (state) WHERE finished_at IS NULL;

CREATE TABLE submissions (
    job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    idx INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'submitting', 'submit_unknown', 'running', 'parked', 'downloading', 'succeeded', 'failed', 'cancelled')),
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    effective TEXT NOT NULL CHECK (json_valid(effective)),
    replayable INTEGER NOT NULL CHECK (replayable IN (0, 1)),
    attempt INTEGER NOT NULL DEFAULT 0,
    submit_key TEXT,
    sent_at INTEGER,
    account TEXT,
    operation TEXT CHECK (operation IS NULL OR json_valid(operation)),
    provider_job_id TEXT,
    accepted_at INTEGER,
    due_at INTEGER NOT NULL DEFAULT 0,
    deadline_at INTEGER,
    results TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(results)),
    failed_outputs TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(failed_outputs)),
    notes TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(notes)),
    error TEXT CHECK (error IS NULL OR json_valid(error)),
    estimate INTEGER,
    actual INTEGER,
    owner TEXT,
    version INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (job_id, idx)
) STRICT;
CREATE INDEX submissions_free ON submissions (due_at) WHERE owner IS NULL AND state IN ('queued', 'running', 'parked', 'downloading');
CREATE INDEX submissions_owned ON submissions (owner) WHERE owner IS NOT NULL;
CREATE INDEX submissions_open ON submissions (state) WHERE state IN ('submitting', 'submit_unknown');

CREATE TABLE outputs (
    id TEXT PRIMARY KEY,
    job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    submission INTEGER NOT NULL,
    idx INTEGER NOT NULL,
    path TEXT NOT NULL,
    thumbnail TEXT,
    media_type TEXT NOT NULL,
    bytes INTEGER NOT NULL CHECK (bytes >= 0),
    sha256 TEXT NOT NULL,
    width INTEGER,
    height INTEGER,
    duration REAL,
    variant TEXT
) STRICT;
CREATE INDEX outputs_job ON outputs (job_id, idx);

CREATE TABLE events (
    job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    submission INTEGER,
    origin TEXT,
    target TEXT NOT NULL,
    at INTEGER NOT NULL,
    owner TEXT,
    detail TEXT,
    PRIMARY KEY (job_id, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE ledger (
    id INTEGER PRIMARY KEY,
    job_id TEXT NOT NULL,
    submission INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('reserved', 'settled', 'released', 'adjusted')),
    micro_usd INTEGER NOT NULL,
    at INTEGER NOT NULL,
    certain INTEGER NOT NULL CHECK (certain IN (0, 1)),
    principal TEXT NOT NULL,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    UNIQUE (job_id, submission, kind)
) STRICT;
CREATE INDEX ledger_time ON ledger (principal, at);

CREATE TABLE workers (
    id TEXT PRIMARY KEY,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    boot_id TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    lease_until REAL NOT NULL,
    progress TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(progress))
) STRICT;

CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    principal TEXT NOT NULL,
    agent TEXT,
    title TEXT,
    history TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(history)),
    answers TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(answers)),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX sessions_newest ON sessions (principal, updated_at);

CREATE TABLE runs (
    id TEXT PRIMARY KEY,
    principal TEXT NOT NULL,
    agent TEXT,
    session_id TEXT REFERENCES sessions (id),
    parent_run_id TEXT,
    state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'waiting', 'succeeded', 'failed', 'cancelled')),
    task TEXT NOT NULL,
    context TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(context)),
    request_hash TEXT NOT NULL,
    idempotency_key TEXT,
    turns TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(turns)),
    question TEXT,
    output TEXT,
    error TEXT CHECK (error IS NULL OR json_valid(error)),
    max_cost INTEGER,
    input_tokens INTEGER NOT NULL DEFAULT 0,
    output_tokens INTEGER NOT NULL DEFAULT 0,
    callback TEXT CHECK (callback IS NULL OR json_valid(callback)),
    owner TEXT,
    version INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    finished_at INTEGER
) STRICT;
CREATE UNIQUE INDEX runs_key ON runs (principal, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX runs_newest ON runs (principal, id);
