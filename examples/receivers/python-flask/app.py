import json
import os

from flask import Flask, jsonify, request
from waitress import serve

import inbox
from signature import is_authentic

app = Flask(__name__)
app.config["MAX_CONTENT_LENGTH"] = 1 << 20


@app.route("/webhook", methods=["POST"])
def webhook_handler():
    body = request.get_data()
    if not is_authentic(request.headers, body):
        return jsonify(error="the signature is wrong or too old"), 401
    # Processed asynchronously: see process_webhook
    is_new = inbox.store(request.headers, body)
    return jsonify(status="received" if is_new else "repeat"), 200


def process_webhook(event_id, body):
    """Runs after the answer, in another thread; your work goes here."""
    payload = json.loads(body)
    fields = payload if isinstance(payload, dict) else {}
    print(f"received {fields.get('type') or fields.get('event') or '?'} {event_id}", flush=True)


inbox.start_worker(process_webhook)

if __name__ == "__main__":
    serve(app, host="127.0.0.1", port=int(os.environ.get("PORT", "9000")))
