// Verifies each token from its parent as soon as it arrives, and verifies older ones without a pause. On `end` it reports
// its counts.
import { setImmediate as turn } from 'node:timers/promises';
import { openVerifier } from '../../dist/index.js';

const KEPT_PER_KID = 20;

const verifier = await openVerifier();
const report = { first: 0, again: 0, slowestFirstMs: 0, verifications: {}, refusals: {} };
const underWay = new Set();
const older = new Map();
let isOver = false;

process.on('message', (message) => {
  if (message === 'end') {
    isOver = true;
    return;
  }
  const checking = verifyFirst(message);
  underWay.add(checking);
  checking.finally(() => underWay.delete(checking));
});
process.send('ready');

while (!isOver) {
  for (const [kid, tokens] of older) {
    await verify(tokens[Math.floor(Math.random() * tokens.length)], kid);
    report.again++;
  }
  await turn();
}
await Promise.all(underWay);
await verifier.close();
process.send(report, () => process.disconnect());

async function verifyFirst({ token, kid }) {
  const startedAt = performance.now();
  await verify(token, kid);
  report.first++;
  report.slowestFirstMs = Math.max(report.slowestFirstMs, performance.now() - startedAt);
  const tokens = older.get(kid) ?? [];
  older.set(kid, tokens);
  // Keeps the first tokens, and later replaces the newer half at random.
  if (tokens.length < KEPT_PER_KID) tokens.push(token);
  else tokens[Math.floor((KEPT_PER_KID / 2) * (1 + Math.random()))] = token;
}

async function verify(token, kid) {
  const result = await verifier.verify(token).catch((error) => ({ active: false, error }));
  count(report.verifications, kid);
  if (!result.active) count(report.refusals, `${result.error.code} ${kid}`);
}

function count(counts, what) {
  counts[what] = (counts[what] ?? 0) + 1;
}
