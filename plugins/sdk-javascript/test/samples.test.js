import { testSamples } from "../src/testing/index.js";

for (const example of ["ticket", "orders", "soft-errors"]) {
  await testSamples(new URL(`../examples/${example}/plugin.js`, import.meta.url));
}
