-- When batches were sealed, if they were; they cannot be sealed before this transaction ends.
-- Guard: none, it reads. Index: the primary key.
-- Given: batch uuid, project bigint
SELECT given.n, batch.sealed_at_ms
FROM given
JOIN jobs_admin_batch AS batch ON batch.id = given.batch AND batch.project_id = given.project
ORDER BY batch.id
FOR SHARE OF batch
