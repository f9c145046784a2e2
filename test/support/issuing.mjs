// Issues tokens without a pause, tells its parent of each, and ends when the parent says so. The subjects are its arguments.
import { openIssuer } from '../../dist/index.js';

const REOPENED_AFTER = 50;

const subjects = process.argv.slice(2);
let isOver = false;
process.once('message', () => {
  isOver = true;
});

// One holds the key that it has read for half a minute, as issuers do; the other one is opened again and again, as if
// it were another host each time, and signs with the key that is active by then.
const holding = await openIssuer();
let fresh = await openIssuer();
for (let count = 0; !isOver; count++) {
  if (count % REOPENED_AFTER === REOPENED_AFTER - 1) {
    await fresh.close();
    fresh = await openIssuer();
  }
  const sub = subjects[count % subjects.length];
  const { token, kid, iat } = await (count % 4 === 0 ? holding : fresh).issue({ sub });
  await new Promise((sent) => process.send({ token, kid, iat }, sent));
}
await fresh.close();
await holding.close();
process.disconnect();
