import { type Check, errorFinding, type fault } from '../check.js';
import { keyStatus, noActiveKey } from '../key-status.js';

export const activeKey: Check = {
  name: 'active-key',
  title: 'One key is active, and every row of the key store can be read.',
  run: async (ports) => {
    const broken: ReturnType<typeof fault>[] = [];
    const { keys } = await (await ports.database()).keys.snapshot((error) =>
      broken.push(errorFinding(error)),
    );
    const { active, pending } = keyStatus(keys, ports.policy, ports.clock.now());
    return [...broken, ...(active === null ? [errorFinding(noActiveKey(pending))] : [])];
  },
};
