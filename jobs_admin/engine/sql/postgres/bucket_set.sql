-- Write down the starts that are left; a transaction that had to wait must not put the time back, or it would refill twice.
-- A time further ahead than clocks differ is of a clock that was put back since, and goes.
-- Guard: none; type_lock lets no other transaction start jobs of the type. Index: the primary key (project, type, key).
-- Given: project bigint, type text, partition_key text, tokens double precision
INSERT INTO jobs_admin_ratebucket (project_id, type, partition_key, tokens, at_ms)
SELECT project, type, partition_key, tokens, :now FROM given
ON CONFLICT (project_id, type, partition_key) DO UPDATE
SET tokens = excluded.tokens, at_ms = CASE
    WHEN jobs_admin_ratebucket.at_ms > excluded.at_ms + :clocks_differ THEN excluded.at_ms
    ELSE greatest(jobs_admin_ratebucket.at_ms, excluded.at_ms)
END
