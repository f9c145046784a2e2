import type { Check } from '../check.js';

export const redis: Check = {
  name: 'registry',
  title: 'The registry answers, and its account may look up a token.',
  run: async (ports) => {
    const now = ports.clock.now();
    // Any token, known or not, is asked for in the same way.
    await (await ports.registry()).tokenStatus('jwtctl', { jti: 'jwtctl', keyId: 0, iat: now }, now);
    return [];
  },
};
