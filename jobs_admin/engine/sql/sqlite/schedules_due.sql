-- Schedules whose next slot has come, the longest overdue first, without those that stepped aside for a fault.
-- Guard: none, it reads. Index: schedule_next.
SELECT
    id, project_id, name, job, cron, timezone, every_ms, missed, created_at_ms, next_at_ms, version
FROM jobs_admin_schedule
WHERE next_at_ms IS NOT NULL AND next_at_ms <= :before AND (look_at_ms IS NULL OR look_at_ms <= :now)
ORDER BY next_at_ms LIMIT :limit
