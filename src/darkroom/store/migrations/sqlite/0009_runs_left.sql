-- Runs whose client never came back are given too, once their time is over.
DROP INDEX runs_free;
CREATE INDEX runs_free ON runs (due_at, id) WHERE owner IS NULL
    AND (state IN ('queued', 'running') OR awaits IN ('work', 'client')
         OR (state = 'waiting' AND cancel_requested_at IS NOT NULL));
