"""The live pages of this app."""

from aerodash.auth import Scope
from aerodash.realtime import topics
from aerodash.realtime.pages import live_page
from jobs_admin.views import batch, batches, job, jobs, schedule_one, schedules, type, types, worker, workers

live_page("jobs", topics=(topics.JOBS,), scope=Scope.QUEUE_READ, render=jobs.push)
live_page("job", topics=(topics.JOBS,), scope=Scope.QUEUE_READ, render=job.push)
live_page("schedules", topics=(topics.JOBS,), scope=Scope.QUEUE_READ, render=schedules.push)
live_page("schedule", topics=(topics.JOBS,), scope=Scope.QUEUE_READ, render=schedule_one.push)
live_page("batches", topics=(topics.JOBS,), scope=Scope.QUEUE_READ, render=batches.push)
live_page("batch", topics=(topics.JOBS,), scope=Scope.QUEUE_READ, render=batch.push)
live_page("types", topics=(topics.JOBS,), scope=Scope.QUEUE_READ, render=types.push)
live_page("type", topics=(topics.JOBS,), scope=Scope.QUEUE_READ, render=type.push)
live_page("workers", topics=(topics.JOBS,), scope=Scope.QUEUE_READ, render=workers.push)
live_page("worker", topics=(topics.JOBS,), scope=Scope.QUEUE_READ, render=worker.push)
