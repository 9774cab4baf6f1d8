"""AeroDash: cache, feature flags and a job queue over one HTTP API, with a live admin console."""

__version__ = "0.1.0"
