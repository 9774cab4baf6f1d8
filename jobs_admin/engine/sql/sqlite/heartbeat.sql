-- Extend one lease: to :expires, or where that is null for as long as its type says, and then never back; not beyond the
-- run's time limit. Say when a cancel was requested, if one was.
-- (The column itself: SQLite 3.40 answers RETURNING ... IS NOT NULL with true for a null.)
-- Guard: processing under this token. Index: the primary key.
UPDATE jobs_admin_job
SET lease_expires_at_ms = min(
    coalesce(
        :expires,
        max(
            lease_expires_at_ms,
            :now + coalesce(
                (
                    SELECT type.lease_ms FROM jobs_admin_jobtype AS type
                    WHERE type.project_id = jobs_admin_job.project_id AND type.name = jobs_admin_job.type
                ),
                :default_lease
            )
        )
    ),
    coalesce(run_ends_at_ms, 9223372036854775807)
)
WHERE id = :id AND project_id = :project AND status = 'processing' AND lease_token = :token
RETURNING cancel_requested_at_ms, run
