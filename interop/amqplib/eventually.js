'use strict';

/** Polls until `holds` says true: for what the broker does on its own time. */
async function eventually(holds, what, timeoutMs = 5000) {
  const deadline = Date.now() + timeoutMs;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`never happened: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

module.exports = { eventually };
