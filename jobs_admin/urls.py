"""Pages of jobs, under p/<slug>/."""

from django.urls import path

from jobs_admin.views import changes, job, jobs

urlpatterns = [
    path("jobs", jobs.jobs, name="jobs"),
    path("jobs/<str:job_id>", job.job, name="job"),
    path("jobs/<str:job_id>/retry", changes.retry, name="job-retry"),
    path("jobs/<str:job_id>/cancel", changes.cancel, name="job-cancel"),
]
