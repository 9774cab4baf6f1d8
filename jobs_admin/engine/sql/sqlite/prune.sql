-- Delete a job that ended long ago.
-- Guard: it stands where it was read, ended by :cutoff (what has not ended has no such time), and does not hold its
-- unique key for a time that goes on; so a retry of the same moment is never lost. Index: the primary key.
DELETE FROM jobs_admin_job
WHERE id = :id AND project_id = :project AND status = :status
    AND ended_at_ms <= :cutoff AND (holds_key = 0 OR unique_until_ms IS NULL OR unique_until_ms <= :now)
RETURNING type
