// Whether a delivery was signed with our secret.

const { createHmac, timingSafeEqual } = require("node:crypto");
const { Webhook, WebhookVerificationError } = require("standardwebhooks");

// "standard" is Standard Webhooks. Systems that sign nothing but the body are known by the header that they do it in:
// "x-webhook-signature", or "signature", whose secret is the webhook's id.
const scheme = process.env.SIGNATURE || "standard";
const secret = process.env.WEBHOOK_SECRET;
if (!secret) throw new Error("WEBHOOK_SECRET is not set");
const standard = scheme === "standard" ? new Webhook(secret) : null;

// Over the bytes as they came: JSON that was parsed and written again is another text.
function isAuthentic(headers, body) {
  if (!standard) return verifyWebhook(body, headers[scheme] ?? "");
  try {
    standard.verify(body, headers, { jsonParse: false }); // no more than five minutes old
    return true;
  } catch (error) {
    if (error instanceof WebhookVerificationError) return false;
    throw error;
  }
}

function verifyWebhook(body, signature) {
  const expected = Buffer.from(createHmac("sha256", secret).update(body).digest("hex"));
  const given = Buffer.from(signature);
  return given.length === expected.length && timingSafeEqual(given, expected);
}

module.exports = { isAuthentic };
