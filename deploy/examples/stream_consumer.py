"""Reads a hook of kind "redis-stream" as one of a group: REDIS_URL=redis://… python stream_consumer.py NAME

An entry is acknowledged after the work is done: what a reader that died had taken, another claims a minute
later. So the work may be done twice; `id` is the event's, and the same each time.
"""

import json
import os
import socket
import sys
from contextlib import suppress

import redis

server = redis.Redis.from_url(os.environ["REDIS_URL"], decode_responses=True)
stream, group, me = f"catchlight:stream:{sys.argv[1]}", "example", f"{socket.gethostname()}-{os.getpid()}"
with suppress(redis.ResponseError):  # the group is there already
    server.xgroup_create(stream, group, id="0", mkstream=True)
while True:
    entries = server.xautoclaim(stream, group, me, min_idle_time=60_000, count=10)[1]
    for _, new in [] if entries else server.xreadgroup(group, me, {stream: ">"}, 10, block=2_000):
        entries += new
    for entry, event in entries:
        print(
            event["id"], event["type"], json.loads(event["body"])["data"].get("id"), flush=True
        )  # your work
        server.xack(stream, group, entry)
