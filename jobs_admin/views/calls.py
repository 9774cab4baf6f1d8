"""A job's enqueue as a program would write it: what its page offers to copy."""

import json
import pprint
import shlex

from django.conf import settings

from aerodash import instants
from jobs_admin.records import JobDetail

PAYLOAD_CHARS = 2048
"""A longer payload stands in a file of its own."""


def calls(detail: JobDetail) -> list[tuple[str, str]]:
    """(language, text): curl with the payload's own text, and Python with its values."""
    is_long = len(detail.payload) > PAYLOAD_CHARS
    return [("curl", _curl(detail, is_long)), ("Python", _python(detail, is_long))]


def _options(detail: JobDetail) -> dict[str, object]:
    """What its enqueue said besides type and payload, by the wire's names, without what is the default."""
    carried, row = detail.carried, detail.row
    said = {
        "priority": row.priority if row.priority != 5 else None,
        "maxRetries": row.max_retries if row.max_retries != 3 else None,
        "tags": list(carried.tags) or None,
        "uniqueKey": carried.unique_key or None,
        "partitionKey": carried.partition_key or None,
        "timeoutSeconds": carried.timeout_s,
        "deadline": instants.text_of(carried.deadline_at) if carried.deadline_at else None,
    }
    return {name: value for name, value in said.items() if value is not None}


def _curl(detail: JobDetail, is_long: bool) -> str:
    begin = f'{{"type": {json.dumps(detail.row.type)}, "payload": '
    rest = "".join(
        f", {json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}"
        for name, value in _options(detail).items()
    )
    lines = [
        f"curl {settings.AERODASH_PUBLIC_URL}/v1/queue/enqueue",
        '  -H "X-Aerostack-Key: $AERODASH_API_KEY"',
        "  -H 'Content-Type: application/json'",
    ]
    if is_long:
        head, tail = shlex.quote(begin), shlex.quote(rest + "}")
        return f"(printf %s {head}; cat payload.json; printf %s {tail}) | " + " \\\n".join(
            [*lines, "  --data-binary @-"]
        )
    return " \\\n".join([*lines, f"  -d {shlex.quote(begin + detail.payload + rest + '}')}"])


def _python(detail: JobDetail, is_long: bool) -> str:
    if is_long:
        payload = 'json.loads(open("payload.json").read())'
    else:
        payload = pprint.pformat(json.loads(detail.payload), width=60, sort_dicts=False)
    arguments = [repr(detail.row.type), payload]
    arguments += [f"{_SNAKE[name]}={_literal(name, value)}" for name, value in _options(detail).items()]
    body = "".join("    " + argument.replace("\n", "\n    ") + ",\n" for argument in arguments)
    return f"client.queue.send(\n{body})"


_SNAKE = {
    "priority": "priority",
    "maxRetries": "max_retries",
    "tags": "tags",
    "uniqueKey": "unique_key",
    "partitionKey": "partition_key",
    "timeoutSeconds": "timeout_seconds",
    "deadline": "deadline",
}


def _literal(name: str, value: object) -> str:
    return f'datetime.fromisoformat("{value}")' if name == "deadline" else repr(value)
