const express = require("express");
const { startWorker, store } = require("./inbox");
const { isAuthentic } = require("./signature");

const app = express();

// The raw body, whatever its type: express.json() would leave nothing to verify.
app.post("/webhook", express.raw({ type: () => true, limit: "1mb", inflate: false }), (req, res) => {
  const body = req.body ?? Buffer.alloc(0);
  if (!isAuthentic(req.headers, body)) {
    return res.status(401).json({ error: "the signature is wrong or too old" });
  }
  // Processed asynchronously: see processWebhook
  const isNew = store(req.headers, body);
  res.on("close", wake);
  res.status(200).json({ status: isNew ? "received" : "repeat" });
});

// Runs after the answer; your work goes here.
async function processWebhook(id, body) {
  const payload = JSON.parse(body);
  console.log(`received ${payload?.type || payload?.event || "?"} ${id}`);
}

const wake = startWorker(processWebhook);
app.listen(Number(process.env.PORT ?? 9000), "127.0.0.1");
