-- Where jobs stand.
-- Guard: none, it reads. Index: the primary key.
-- Given: id uuid, project bigint
SELECT
    given.n, job.status, job.type, job.run, job.payload, job.payload_version, job.result, job.error_message, job.batch_id,
    job.unique_key
FROM given
JOIN jobs_admin_job AS job ON job.id = given.id AND job.project_id = given.project
