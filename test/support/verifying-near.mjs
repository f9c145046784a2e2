// Verifies the tokens from its parent without a pause, with a near cache. On `end` it reports for each token when the
// last accepted verification began and when the first refused one ended.
import { setTimeout as delay } from 'node:timers/promises';
import { openVerifier } from '../../dist/index.js';

const AT_ONCE = 32;

const verifier = await openVerifier({ nearCache: true });
const tokens = [];
const seen = new Map();
const report = { verifications: 0, unavailable: {}, other: [] };
let isOver = false;

process.on('message', (message) => {
  if (message === 'end') {
    isOver = true;
    return;
  }
  tokens.push(message);
  seen.set(message, { lastAccepted: null, firstRefused: null, code: null });
});
process.send('ready');

await Promise.all(Array.from({ length: AT_ONCE }, verifyOn));
report.nearCache = verifier.health().nearCache;
report.tokens = Object.fromEntries(seen);
await verifier.close();
process.send(report, () => process.disconnect());

async function verifyOn() {
  for (let turn = 0; !isOver; turn++) {
    const token = tokens[Math.floor(Math.random() * tokens.length)];
    if (token !== undefined) await verify(token);
    // Yields to other work, because a cache hit does not wait for anything.
    if (turn % 50 === 0) await delay(1);
  }
}

async function verify(token) {
  const began = Date.now();
  report.verifications++;
  const known = seen.get(token);
  try {
    // A new string each time, as from a socket.
    const result = await verifier.verify(Buffer.from(token).latin1Slice());
    if (result.active) known.lastAccepted = Math.max(known.lastAccepted ?? 0, began);
    else if (known.firstRefused === null) {
      known.firstRefused = Date.now();
      known.code = result.error.code;
    }
  } catch (error) {
    if (error.kind === 'unavailable')
      report.unavailable[error.code] = (report.unavailable[error.code] ?? 0) + 1;
    else report.other.push(String(error.stack));
    await delay(5);
  }
}
