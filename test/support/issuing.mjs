// Issues tokens for the subjects in its arguments and sends each to its parent, until the parent sends a message.
import { openIssuer } from '../../dist/index.js';

const REOPENED_AFTER = 50;

const subjects = process.argv.slice(2);
let isOver = false;
process.once('message', () => {
  isOver = true;
});

// `caching` signs with a cached key for up to half a minute. `fresh` is reopened often, as another host would be, and
// signs with the key that is active by then.
const caching = await openIssuer();
let fresh = await openIssuer();
for (let count = 0; !isOver; count++) {
  if (count % REOPENED_AFTER === REOPENED_AFTER - 1) {
    await fresh.close();
    fresh = await openIssuer();
  }
  const sub = subjects[count % subjects.length];
  const { token, kid, iat } = await (count % 4 === 0 ? caching : fresh).issue({ sub });
  await new Promise((sent) => process.send({ token, kid, iat }, sent));
}
await fresh.close();
await caching.close();
process.disconnect();
