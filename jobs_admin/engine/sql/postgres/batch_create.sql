-- Add batches that members may be added to.
-- Guard: none; the ids are new. Index: the primary key; batch_of_project grows.
-- Given: id uuid, project bigint, name text, by text, on_complete text
INSERT INTO jobs_admin_batch (id, project_id, name, created_at_ms, created_by, on_complete)
SELECT id, project, name, :now, by, on_complete FROM given
