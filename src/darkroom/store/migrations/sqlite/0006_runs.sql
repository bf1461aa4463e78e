-- Runs, sessions and callbacks. Nothing was ever written into the first two, so they are made anew.
DROP TABLE runs;
DROP TABLE sessions;

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
CREATE INDEX sessions_newest ON sessions (principal, id);

CREATE TABLE runs (
    id TEXT PRIMARY KEY,
    principal TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('agent', 'workflow')),
    mode TEXT NOT NULL CHECK (mode IN ('loop', 'client', 'hand_off', 'steps')),
    agent TEXT,
    workflow TEXT,
    task TEXT NOT NULL,
    context TEXT NOT NULL CHECK (json_valid(context)),
    tier TEXT,
    model TEXT,
    session_id TEXT REFERENCES sessions (id) ON DELETE SET NULL,
    parent_run_id TEXT,
    root_run_id TEXT,
    request_hash TEXT NOT NULL,
    idempotency_key TEXT,
    max_cost INTEGER,
    plan TEXT,
    state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'waiting', 'succeeded', 'failed', 'cancelled')),
    awaits TEXT CHECK (awaits IN ('work', 'answer', 'client')),
    waiting_for TEXT NOT NULL CHECK (json_valid(waiting_for)),
    question TEXT CHECK (question IS NULL OR json_valid(question)),
    answers TEXT NOT NULL CHECK (json_valid(answers)),
    turn INTEGER NOT NULL,
    work TEXT NOT NULL CHECK (json_valid(work)),
    actions TEXT NOT NULL CHECK (json_valid(actions)),
    output TEXT,
    data TEXT CHECK (data IS NULL OR json_valid(data)),
    brief TEXT CHECK (brief IS NULL OR json_valid(brief)),
    error TEXT CHECK (error IS NULL OR json_valid(error)),
    warnings TEXT NOT NULL CHECK (json_valid(warnings)),
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    deadline_at INTEGER,
    cancel_requested_at INTEGER,
    delivered_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    finished_at INTEGER,
    owner TEXT,
    version INTEGER NOT NULL,
    CHECK ((state = 'waiting') = (awaits IS NOT NULL))
) STRICT;
CREATE UNIQUE INDEX runs_key ON runs (principal, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX runs_same ON runs (principal, request_hash, id);
CREATE INDEX runs_newest ON runs (principal, id);
CREATE INDEX runs_session ON runs (session_id) WHERE session_id IS NOT NULL;
CREATE INDEX runs_parent ON runs (parent_run_id) WHERE parent_run_id IS NOT NULL;
CREATE INDEX runs_root ON runs (root_run_id) WHERE root_run_id IS NOT NULL;
CREATE INDEX runs_owned ON runs (owner) WHERE owner IS NOT NULL;
-- What a process may be given; who never answers costs nothing here.
CREATE INDEX runs_free ON runs (due_at, id) WHERE owner IS NULL
    AND (state IN ('queued', 'running') OR awaits = 'work' OR (state = 'waiting' AND cancel_requested_at IS NOT NULL));

CREATE TABLE run_events (
    run_id TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    origin TEXT,
    target TEXT NOT NULL,
    at INTEGER NOT NULL,
    owner TEXT,
    detail TEXT,
    PRIMARY KEY (run_id, seq)
) STRICT, WITHOUT ROWID;

-- The subject is a job or a run.
CREATE TABLE callbacks (
    subject TEXT PRIMARY KEY,
    principal TEXT NOT NULL,
    url TEXT NOT NULL,
    invocation_id TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'due', 'delivered', 'failed')),
    attempts INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    body TEXT,
    status INTEGER,
    error TEXT,
    created_at INTEGER NOT NULL,
    delivered_at INTEGER
) STRICT;
CREATE INDEX callbacks_due ON callbacks (due_at) WHERE state = 'due';
CREATE INDEX callbacks_newest ON callbacks (created_at, subject);

ALTER TABLE jobs ADD COLUMN run_id TEXT;
CREATE INDEX jobs_run ON jobs (run_id) WHERE run_id IS NOT NULL;

-- As before, and whether a price was known when it was reserved, and whether it was released.
DROP VIEW spending;
CREATE VIEW spending AS
    SELECT reserved.job_id, reserved.submission, reserved.principal, reserved.provider, reserved.model,
        reserved.at, reserved.micro_usd AS reserved, reserved.certain AS priced,
        COALESCE(adjusted.micro_usd, settled.micro_usd, CASE WHEN released.id IS NULL THEN reserved.micro_usd ELSE 0 END) AS micro_usd,
        COALESCE(adjusted.certain, settled.certain, released.certain, 0) AS certain,
        adjusted.id IS NULL AND settled.id IS NULL AND released.id IS NULL AS open,
        adjusted.id IS NULL AND settled.id IS NULL AND released.id IS NOT NULL AS released
    FROM ledger AS reserved
    LEFT JOIN ledger AS adjusted ON (adjusted.job_id, adjusted.submission, adjusted.kind)
        = (reserved.job_id, reserved.submission, 'adjusted')
    LEFT JOIN ledger AS settled ON (settled.job_id, settled.submission, settled.kind)
        = (reserved.job_id, reserved.submission, 'settled')
    LEFT JOIN ledger AS released ON (released.job_id, released.submission, released.kind)
        = (reserved.job_id, reserved.submission, 'released')
    WHERE reserved.kind = 'reserved';
