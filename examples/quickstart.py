"""Cache and queue in twenty lines. Needs AERODASH_API_KEY (`make run` prints one) and a worker for the job."""

from aerodash_sdk import Client

with Client() as client:
    client.cache.set("user:123", {"name": "Jane", "plan": "pro"}, ttl=3600, metadata={"device": "mobile"})
    print("user:", client.cache.get("user:123"))
    print("nobody:", client.cache.get("user:nobody"))
    print("views:", client.cache.increment("views:post-123"))
    print("keys:", client.cache.keys("user:12"))
    client.cache.expire("user:123", 60)

    ref = client.queue.send(
        "send-email",
        {"template": "welcome", "to": "jane@example.com", "data": {"name": "Jane"}},
        max_retries=3,
    )
    print("queued:", ref.job_id)
    job = client.queue.wait(ref.job_id, timeout_s=30)
    print("job:", job.status, job.result or job.error)
