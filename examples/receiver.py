#!/usr/bin/env python3
"""A receiver that verifies what Hookmill delivers. Needs nothing but Python 3.8.

    python3 examples/receiver.py [PORT] [SECRET]

Prints each delivery. With the endpoint's secret (`hookmill endpoint secret`) it also verifies the Standard Webhooks
signature, and answers 401 where that fails. In a program of your own use a library for it: standardwebhooks.com.
"""

import base64
import hashlib
import hmac
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOLERANCE_SECONDS = 300
BODY_BYTES_MAX = 1 << 20


def is_authentic(secret, headers, body):
    """Whether one of the signatures is ours, and the timestamp near."""
    timestamp = headers.get("webhook-timestamp", "")
    if not timestamp.isdigit() or abs(time.time() - int(timestamp)) > TOLERANCE_SECONDS:
        return False
    key = base64.b64decode(secret.split("_", 1)[-1])
    signed = f"{headers.get('webhook-id')}.{timestamp}.".encode() + body
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    signatures = headers.get("webhook-signature", "").split(" ")
    return any(hmac.compare_digest(signature, f"v1,{expected}") for signature in signatures)


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    secret = None

    def do_POST(self):
        length = min(int(self.headers.get("content-length", 0)), BODY_BYTES_MAX)
        body = self.rfile.read(length)
        if self.secret is None:
            verdict, status = "not verified: no secret given", 200
        elif is_authentic(self.secret, self.headers, body):
            verdict, status = "signature verified", 200
        else:
            verdict, status = "SIGNATURE WRONG", 401
        print(f"{self.headers.get('webhook-id')} ({verdict})\n{body.decode(errors='replace')}\n", flush=True)
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def main():
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 9000
    Receiver.secret = sys.argv[2] if len(sys.argv) > 2 else None
    print(f"listening on http://127.0.0.1:{port}", flush=True)
    ThreadingHTTPServer(("127.0.0.1", port), Receiver).serve_forever()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
