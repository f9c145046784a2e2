import { type Check, warning } from '../check.js';
import { keyStatus, readableKeys } from '../key-status.js';

export const pendingKey: Check = {
  name: 'pending-key',
  title: 'A pending key is published, so that verifiers know the next key.',
  run: async (ports) => {
    const { pending } = keyStatus(await readableKeys(ports), ports.policy, ports.clock.now());
    return pending > 0
      ? []
      : [
          warning(
            'No pending key is published, so verifiers cannot load the next key in advance.',
            'Run `jwtctl keys rotate`, and schedule it.',
          ),
        ];
  },
};
