-- Extend leases: to `expires`, or where that is null for as long as their types say, and then never back; not beyond the
-- runs' time limits. Say when a cancel was requested, if one was.
-- Guard: processing under this token. Index: the primary key.
-- Given: id uuid, project bigint, token text, expires bigint
UPDATE jobs_admin_job AS job
SET lease_expires_at_ms = least(
    coalesce(
        given.expires,
        greatest(
            job.lease_expires_at_ms,
            :now::bigint + coalesce(
                (
                    SELECT type.lease_ms FROM jobs_admin_jobtype AS type
                    WHERE type.project_id = job.project_id AND type.name = job.type
                ),
                :default_lease
            )
        )
    ),
    job.run_ends_at_ms
)
FROM given
WHERE job.id = given.id AND job.project_id = given.project AND job.status || '' = 'processing'
    AND job.lease_token = given.token
RETURNING given.n, job.cancel_requested_at_ms, job.run
