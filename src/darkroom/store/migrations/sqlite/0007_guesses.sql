-- What a reserved model call is expected to cost: less than what is held back for it, and booked where nobody learns more.
ALTER TABLE ledger ADD COLUMN guess INTEGER;

DROP VIEW spending;
CREATE VIEW spending AS
    SELECT reserved.job_id, reserved.submission, reserved.principal, reserved.provider, reserved.model,
        reserved.at, reserved.micro_usd AS reserved, COALESCE(reserved.guess, reserved.micro_usd) AS expected,
        reserved.certain AS priced,
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
