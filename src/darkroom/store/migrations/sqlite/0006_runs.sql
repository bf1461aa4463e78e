-- Which run started a job.
ALTER TABLE jobs ADD COLUMN run_id TEXT;
