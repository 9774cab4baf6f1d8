-- How long the payloads of chosen jobs are.
-- Guard: none, it reads. Index: the primary key.
-- Given: ref uuid
SELECT given.n, job.payload_bytes FROM given JOIN jobs_admin_job AS job ON job.id = given.ref
