// Verifies deliveries with the official package: a line of JSON in, a line with the verdict out.
// The argument is the folder whose node_modules has the package.

import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const { Webhook, WebhookVerificationError } = createRequire(`${process.argv[2]}/`)("standardwebhooks");

for await (const line of createInterface({ input: process.stdin })) {
  const delivery = JSON.parse(line);
  try {
    new Webhook(delivery.secret).verify(delivery.body, delivery.headers);
    console.log("ok");
  } catch (error) {
    if (!(error instanceof WebhookVerificationError)) throw error;
    console.log(`fail: ${error.message}`);
  }
}
