-- Who makes the calls that last: a process that its host cannot close. What others asked a process to look at.
ALTER TABLE submissions ADD COLUMN synchronous INTEGER NOT NULL DEFAULT 0 CHECK (synchronous IN (0, 1));
CREATE INDEX submissions_remote ON submissions (provider, provider_job_id) WHERE provider_job_id IS NOT NULL;

ALTER TABLE workers ADD COLUMN lingers INTEGER NOT NULL DEFAULT 0 CHECK (lingers IN (0, 1));
ALTER TABLE workers ADD COLUMN accounts TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(accounts));
ALTER TABLE workers ADD COLUMN asked TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(asked));
