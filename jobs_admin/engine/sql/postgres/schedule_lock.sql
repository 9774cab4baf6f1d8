-- A schedule's number and version; nobody changes or fires it before this transaction ends.
-- Guard: none, it locks. Index: schedule_name.
SELECT id, version FROM jobs_admin_schedule WHERE project_id = :project AND name = :name FOR UPDATE
