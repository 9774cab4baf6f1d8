"""What to type in a project that nothing was ever put into."""

from dataclasses import dataclass

_HEAD = '-H "X-Aerostack-Key: $KEY" -H "Content-Type: application/json"'


@dataclass(frozen=True, slots=True)
class Step:
    """What it does, a name for it, and the commands."""

    text: str
    name: str
    command: str


def first_steps(origin: str, slug: str, *, missing: str) -> list[Step]:
    """A key, an entry, a job, a worker's call. origin: the address of the API. missing: the half that is left out, or ""."""
    steps = [
        Step(
            "Make a key on the machine that AeroDash runs on, and keep what it prints:",
            "the command that makes a key",
            f"python -m aerodash key create --project {slug} --name first\nexport KEY=…",
        )
    ]
    if missing != "cache":
        entry = '{"key": "session:abc", "value": {"user": "Jane"}, "ttl": 1800}'
        steps.append(
            Step(
                "Put an entry into the cache:",
                "the call that sets an entry",
                _curl(origin, "cache/set", entry),
            )
        )
    if missing != "queue":
        job = '{"type": "send-email", "payload": {"to": "jane@example.com"}}'
        worker = '{"id": "first", "hostname": "laptop", "pid": 1, "version": "1"}'
        lease = f'{{"types": ["send-email"], "limit": 1, "worker": {worker}}}'
        steps += [
            Step("Enqueue a job:", "the call that enqueues a job", _curl(origin, "queue/enqueue", job)),
            Step(
                "Take it as a worker does; the Python SDK has a whole one ready:",
                "the call that takes a job",
                _curl(origin, "queue/lease", lease),
            ),
        ]
    return steps


def _curl(origin: str, path: str, body: str) -> str:
    return f"curl {origin}/v1/{path} {_HEAD} \\\n  -d '{body}'"
