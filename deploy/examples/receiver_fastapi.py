"""A hook of yours, with FastAPI: HOOK_SECRET=whsec_… uvicorn receiver_fastapi:app

Take the raw body, and no model: the signature is over the bytes as they came.
"""

import json
import os

from fastapi import BackgroundTasks, FastAPI, HTTPException, Request
from standardwebhooks import Webhook, WebhookVerificationError

app = FastAPI()
hook = Webhook(os.environ["HOOK_SECRET"])
seen: set[str] = set()  # yours: a table with a unique key, written together with the work


def work(event: dict) -> None:
    print(event["type"], event["data"].get("id"), flush=True)  # your work


@app.post("/hooks", status_code=204)
async def receive(request: Request, later: BackgroundTasks) -> None:
    body = await request.body()
    try:
        hook.verify(body, dict(request.headers))
    except (WebhookVerificationError, ValueError, KeyError):
        raise HTTPException(401) from None
    id_ = request.headers["webhook-id"]
    if id_ not in seen:
        seen.add(id_)
        later.add_task(work, json.loads(body))
