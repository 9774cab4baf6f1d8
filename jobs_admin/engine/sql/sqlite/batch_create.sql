-- Add a batch that members may be added to.
-- Guard: none; the id is new. Index: the primary key; batch_of_project grows.
INSERT INTO jobs_admin_batch (id, project_id, name, created_at_ms, created_by, on_complete)
VALUES (:id, :project, :name, :now, :by, :on_complete)
