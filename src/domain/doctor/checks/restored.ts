import { nameVerifiers } from '../../fleet/running-verifiers.js';
import { type Check, fault } from '../check.js';

export const restored: Check = {
  name: 'restored-database',
  title: 'The database has every change that Redis and the running verifiers know of.',
  run: async (ports) => {
    await (await ports.guard()).assertCurrent();
    const { verifiers } = await (await ports.registry()).fleet(ports.clock.now());
    const ahead = verifiers.filter(({ isBehind }) => isBehind === true);
    return ahead.length === 0
      ? []
      : [
          fault(
            `The database lacks changes that these verifiers have read: ${nameVerifiers(ahead)}.`,
            'It was restored from a backup, is an old primary, or lags behind. If this lasts, run `jwtctl db recover`, and repeat what was revoked since the backup.',
          ),
        ];
  },
};
