"""Whether a delivery was signed with our secret."""

import hashlib
import hmac
import os
import sys

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

SECRET = os.environ.get("WEBHOOK_SECRET") or sys.exit("WEBHOOK_SECRET is not set")
# "standard" is Standard Webhooks. Systems that sign nothing but the body are known by the header that they do it in:
# "x-webhook-signature", or "signature", whose secret is the webhook's id.
SIGNATURE = os.environ.get("SIGNATURE") or "standard"
STANDARD = Webhook(SECRET) if SIGNATURE == "standard" else None


def is_authentic(headers, body):
    """Over the bytes as they came: JSON that was parsed and written again is another text."""
    try:
        if STANDARD is not None:
            STANDARD.verify(body, headers, json_parse=False)  # no more than five minutes old
            return True
        return verify_webhook(body.decode(), headers.get(SIGNATURE, ""), SECRET)
    except (WebhookVerificationError, ValueError, TypeError):  # the last two: not base64, not UTF-8, not ASCII
        return False


def verify_webhook(payload, signature, secret):
    expected_signature = hmac.new(
        secret.encode(),
        payload.encode(),
        hashlib.sha256
    ).hexdigest()

    return hmac.compare_digest(signature, expected_signature)
