import { type Check, warning } from '../check.js';
import { readableKeys } from '../key-status.js';
import { verifiersWithoutKeys } from '../verifiers-without-keys.js';

export const verifiers: Check = {
  name: 'verifiers',
  title: 'Each running verifier has loaded the active key and the pending keys.',
  run: async (ports) => {
    const { verifiers } = await (await ports.registry()).fleet(ports.clock.now());
    const keys = await readableKeys(ports);
    return verifiersWithoutKeys({ verifiers, unavailableReason: null }, keys).map((message) =>
      warning(message, 'Check that they can reach the database.'),
    );
  },
};
