import json
import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST
from waitress import serve

import inbox
from signature import is_authentic


@csrf_exempt
@require_POST
def webhook_handler(request):
    if not is_authentic(request.headers, request.body):
        return JsonResponse({"error": "the signature is wrong or too old"}, status=401)
    # Processed asynchronously: see process_webhook
    is_new = inbox.store(request.headers, request.body)
    return JsonResponse({"status": "received" if is_new else "repeat"})


def process_webhook(event_id, body):
    """Runs after the answer, in another thread; your work goes here."""
    payload = json.loads(body)
    fields = payload if isinstance(payload, dict) else {}
    print(f"received {fields.get('type') or fields.get('event') or '?'} {event_id}", flush=True)


# A project that you have brings its own settings, and starts the worker in an AppConfig.ready.
urlpatterns = [path("webhook", webhook_handler)]
settings.configure(ROOT_URLCONF=__name__, DATA_UPLOAD_MAX_MEMORY_SIZE=1 << 20)
application = get_wsgi_application()
inbox.start_worker(process_webhook)

if __name__ == "__main__":
    serve(application, host="127.0.0.1", port=int(os.environ.get("PORT", "9000")))
