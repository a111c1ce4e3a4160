"""A hook of yours, with Django: HOOK_SECRET=whsec_… python receiver_django.py runserver

Of a project of yours you need the view alone, and its line in `urlpatterns`.
"""

import json
import os
import sys

from django.conf import settings
from django.core.management import execute_from_command_line
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST
from standardwebhooks import Webhook, WebhookVerificationError

settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY=os.urandom(32).hex())
hook = Webhook(os.environ["HOOK_SECRET"])
seen: set[str] = set()  # yours: a model with a unique key, saved in the transaction of the work


def work(event: dict) -> None:
    print(event["type"], event["data"].get("id"), flush=True)  # your work


@csrf_exempt  # it is signed, and no browser sends it
@require_POST
def receive(request: HttpRequest) -> HttpResponse:
    body = request.body
    try:
        hook.verify(body, {name.lower(): value for name, value in request.headers.items()})
    except (WebhookVerificationError, ValueError, KeyError):
        return HttpResponse(status=401)
    id_ = request.headers["webhook-id"]
    if id_ not in seen:
        work(json.loads(body))
        seen.add(id_)  # after the work: what failed is sent again
    return HttpResponse(status=204)


urlpatterns = [path("hooks", receive)]
application = get_wsgi_application()

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
