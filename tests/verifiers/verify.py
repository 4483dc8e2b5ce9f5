"""Verifies deliveries with the official package: a line of JSON in, a line with the verdict out."""

import json
import sys

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

for line in sys.stdin:
    delivery = json.loads(line)
    try:
        Webhook(delivery["secret"]).verify(delivery["body"], delivery["headers"])
        print("ok")
    except WebhookVerificationError as error:
        print(f"fail: {error}")
