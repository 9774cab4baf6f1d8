-- End a run whose worker was seen to die: pending again (due at :due), failed, or cancelled where that was asked for.
-- Guard: processing under this token and run, a cancel requested if and only if it ends cancelled.
-- Index: the primary key.
UPDATE jobs_admin_job
SET status = :status, due_at_ms = coalesce(:due, due_at_ms), ended_at_ms = iif(:due IS NULL, :now, NULL),
    started_at_ms = iif(:due IS NULL, started_at_ms, NULL), lease_token = '', lease_expires_at_ms = NULL, run_ends_at_ms = NULL,
    crashes = iif(:crashed, crashes + 1, 0), error_type = :error_type, error_message = :error_message,
    traceback = :traceback, holds_key = holds_key AND (:due IS NOT NULL OR unique_until_ms IS NOT NULL)
WHERE id = :id AND project_id = :project AND status = 'processing' AND lease_token = :token AND run = :run
    AND (cancel_requested_at_ms IS NOT NULL) = (:status = 'cancelled')
RETURNING 1
