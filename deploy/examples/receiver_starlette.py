"""A hook of yours, with Starlette: HOOK_SECRET=whsec_… uvicorn receiver_starlette:app

Verify the bytes as they came, then answer at once and work afterwards. The same event may come twice:
`webhook-id` is the event's, and the same each time.
"""

import json
import os

from standardwebhooks import Webhook, WebhookVerificationError
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

hook = Webhook(os.environ["HOOK_SECRET"])
seen: set[str] = set()  # yours: a table with a unique key, written together with the work


def work(event: dict) -> None:
    print(event["type"], event["data"].get("id"), flush=True)  # your work


async def receive(request: Request) -> Response:
    body = await request.body()
    try:
        hook.verify(body, dict(request.headers))
    except (WebhookVerificationError, ValueError, KeyError):
        return Response(status_code=401)
    id_ = request.headers["webhook-id"]
    if id_ in seen:
        return Response(status_code=204)
    seen.add(id_)
    return Response(status_code=204, background=BackgroundTask(work, json.loads(body)))


app = Starlette(routes=[Route("/hooks", receive, methods=["POST"])])
