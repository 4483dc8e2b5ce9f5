import json
import os
from typing import Annotated

import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse

import inbox
from signature import is_authentic

BODY_BYTES_MAX = 1 << 20

app = FastAPI()


async def raw_body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_BYTES_MAX:
            raise HTTPException(413)
    return bytes(body)


@app.post("/webhook")
def webhook_handler(request: Request, body: Annotated[bytes, Depends(raw_body)]):
    if not is_authentic(request.headers, body):
        return JSONResponse({"error": "the signature is wrong or too old"}, status_code=401)
    # Processed asynchronously: see process_webhook
    is_new = inbox.store(request.headers, body)
    return {"status": "received" if is_new else "repeat"}


def process_webhook(event_id, body):
    """Runs after the answer, in another thread; your work goes here."""
    payload = json.loads(body)
    fields = payload if isinstance(payload, dict) else {}
    print(f"received {fields.get('type') or fields.get('event') or '?'} {event_id}", flush=True)


inbox.start_worker(process_webhook)

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ.get("PORT", "9000")), log_level="warning")
