-- Add a schedule, or replace the one of this name; times that stay the same keep their next slot, and a fault is over.
-- Guard: the unique index schedule_name. Index: schedule_name; schedule_next grows.
INSERT INTO jobs_admin_schedule AS old (
    project_id, name, type, job, cron, every_ms, timezone, missed, paused_at_ms, created_at_ms, updated_at_ms,
    updated_by, next_at_ms, version
) VALUES (
    :project, :name, :type, :job, :cron, :every, :timezone, :missed, CASE WHEN :paused THEN :now END, :now, :now,
    :by, CASE WHEN :paused THEN NULL ELSE coalesce(:next, :now + :every) END, 1
)
ON CONFLICT (project_id, name) DO UPDATE SET
    type = excluded.type, job = excluded.job, cron = excluded.cron, every_ms = excluded.every_ms,
    timezone = excluded.timezone, missed = excluded.missed, updated_at_ms = excluded.updated_at_ms,
    updated_by = excluded.updated_by, version = old.version + 1, look_at_ms = NULL, fault = NULL,
    paused_at_ms = CASE
        WHEN coalesce(:paused, old.paused_at_ms IS NOT NULL) THEN coalesce(old.paused_at_ms, :now)
    END,
    next_at_ms = CASE
        WHEN coalesce(:paused, old.paused_at_ms IS NOT NULL) THEN NULL
        WHEN old.next_at_ms IS NOT NULL AND old.cron = excluded.cron AND old.timezone = excluded.timezone
            AND coalesce(old.every_ms, 0) = coalesce(excluded.every_ms, 0) THEN old.next_at_ms
        ELSE coalesce(:next, :now + :every - (:now - old.created_at_ms) % :every)
    END
RETURNING next_at_ms
