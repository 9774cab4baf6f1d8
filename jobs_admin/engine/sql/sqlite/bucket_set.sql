-- Write down the starts that are left; a transaction that had to wait must not put the time back, or it would refill twice.
-- A time further ahead than clocks differ is of a clock that was put back since, and goes.
-- Guard: none; in this transaction no other starts jobs of the type. Index: the primary key (project, type, key).
INSERT INTO jobs_admin_ratebucket (project_id, type, partition_key, tokens, at_ms)
VALUES (:project, :type, :partition_key, :tokens, :now)
ON CONFLICT (project_id, type, partition_key) DO UPDATE
SET tokens = excluded.tokens, at_ms = iif(
    jobs_admin_ratebucket.at_ms > excluded.at_ms + :clocks_differ,
    excluded.at_ms, max(jobs_admin_ratebucket.at_ms, excluded.at_ms)
)
