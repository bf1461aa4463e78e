-- What providers want back word for word when somebody goes on with a result, and the way from a job to its followers.
CREATE TABLE turns (
    job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    idx INTEGER NOT NULL,
    content TEXT NOT NULL CHECK (json_valid(content)),
    PRIMARY KEY (job_id, idx)
) STRICT;

CREATE INDEX jobs_followers ON jobs (parent_job_id, id) WHERE parent_job_id IS NOT NULL;
