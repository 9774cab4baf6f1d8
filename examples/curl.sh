#!/bin/sh
# The API with nothing but curl. Needs AERODASH_API_KEY (`make run` prints one).
set -eu
url="${AERODASH_URL:-http://127.0.0.1:8787}/v1"

call() {
    printf '%s\n  ' "$1 $2"
    curl --silent --show-error --fail-with-body "$url$1" \
        -H "X-Aerostack-Key: $AERODASH_API_KEY" -H 'Content-Type: application/json' -d "$2"
    echo
}

call /cache/set '{"key": "user:123", "value": {"name": "Jane"}, "ttl": 3600, "metadata": {"device": "mobile"}}'
call /cache/get '{"key": "user:123"}'
call /cache/increment '{"key": "views:post-123"}'
call /cache/list '{"prefix": "user:", "limit": 3}'
call /queue/enqueue '{"type": "send-email", "payload": {"template": "welcome", "to": "jane@example.com"}}'
call /queue/jobs '{"type": "send-email", "limit": 1}'
