import { formatDuration } from '../../shared/duration.js';
import { type Check, warning } from '../check.js';
import { keyStatus, readableKeys, secondsLate } from '../key-status.js';

export const keyAge: Check = {
  name: 'key-age',
  title: 'The active key is not older than `keys.rotateAfter`.',
  run: async (ports) => {
    const now = ports.clock.now();
    const keys = keyStatus(await readableKeys(ports), ports.policy, now);
    const late = secondsLate(keys, ports.policy, now);
    return late === 0
      ? []
      : [
          warning(
            `The rotation of key ${keys.active?.kid} is late by ${formatDuration(late)}.`,
            'Run `jwtctl keys rotate`, and check that its job runs.',
          ),
        ];
  },
};
