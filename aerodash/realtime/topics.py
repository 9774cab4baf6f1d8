"""The names that change facts travel under."""

from aerodash.ids import ProjectId

JOBS = "jobs"
CACHE = "cache"
CACHE_STATS = "cache_stats"
FLAGS = "flags"
OPERATIONS = "operations"
AUDIT = "audit"
ENGINE = "engine"


def group(project: ProjectId, topic: str) -> str:
    """The Channels group that carries one project's facts about one topic."""
    return f"project.{project}.{topic}"
