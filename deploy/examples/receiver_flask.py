"""A hook of yours, with Flask: HOOK_SECRET=whsec_… flask --app receiver_flask run

Hand the work to a queue of yours when it takes longer than the hook's `timeout`.
"""

import json
import os

from flask import Flask, abort, request
from standardwebhooks import Webhook, WebhookVerificationError

app = Flask(__name__)
hook = Webhook(os.environ["HOOK_SECRET"])
seen: set[str] = set()  # yours: a table with a unique key, written together with the work


def work(event: dict) -> None:
    print(event["type"], event["data"].get("id"), flush=True)  # your work


@app.post("/hooks")
def receive() -> tuple[str, int]:
    body = request.get_data()
    try:
        hook.verify(body, {name.lower(): value for name, value in request.headers.items()})
    except (WebhookVerificationError, ValueError, KeyError):
        abort(401)
    id_ = request.headers["webhook-id"]
    if id_ not in seen:
        work(json.loads(body))
        seen.add(id_)  # after the work: what failed is sent again
    return "", 204
