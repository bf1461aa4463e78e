-- A job's row is written when it is added, asked to cancel, ended and delivered; in between only its submissions move.
-- Its state while it moves follows from theirs, so only its end is kept: NULL until all of them have ended.
ALTER TABLE jobs ADD COLUMN outcome TEXT CHECK (outcome IN ('succeeded', 'failed', 'cancelled'));
UPDATE jobs SET outcome = state WHERE finished_at IS NOT NULL;
DROP INDEX jobs_active;
ALTER TABLE jobs DROP COLUMN state;
CREATE INDEX jobs_active ON jobs (id) WHERE outcome IS NULL;

ALTER TABLE submissions ADD COLUMN updated_at INTEGER NOT NULL DEFAULT 0;
UPDATE submissions SET updated_at = (SELECT updated_at FROM jobs WHERE id = job_id);
