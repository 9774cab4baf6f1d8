"""The live pages of this app."""

from aerodash.auth import Scope
from aerodash.realtime import topics
from aerodash.realtime.pages import live_page
from jobs_admin.views import job, jobs

live_page("jobs", topics=(topics.JOBS,), scope=Scope.QUEUE_READ, render=jobs.push)
live_page("job", topics=(topics.JOBS,), scope=Scope.QUEUE_READ, render=job.push)
