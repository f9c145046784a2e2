import { formatDuration } from '../../shared/duration.js';
import { type Check, type DoctorPorts, type Finding, fault } from '../check.js';

export const clocks: Check = {
  name: 'clocks',
  title: 'The clocks of this host, MySQL, and Redis agree.',
  run: async (ports) => {
    const judge = comparison(ports);
    const [server, nodes] = await Promise.all([
      judge(async () => {
        const time = (await (await ports.database()).server())?.time;
        return time === undefined ? [] : [{ store: 'MySQL', time }];
      }),
      judge(async () =>
        (await (await ports.registry()).nodes()).flatMap(({ node, time }) =>
          time === null ? [] : [{ store: `Redis at ${node}`, time }],
        ),
      ),
    ]);
    return [...server, ...nodes];
  },
};

interface StoreTime {
  store: string;
  time: number;
}

function comparison({ clock, policy }: DoctorPorts) {
  return async (ask: () => Promise<StoreTime[]>): Promise<Finding[]> => {
    const before = clock.now();
    const times = await ask();
    const after = clock.now();
    return times.flatMap(({ store, time }) => {
      const seconds = Math.max(before - time, time - after);
      if (seconds <= policy.clockToleranceSeconds + 1) return [];
      const difference = `${formatDuration(seconds)} ${time < before ? 'ahead of' : 'behind'}`;
      return [
        fault(
          `The clock of this host is ${difference} the clock of ${store}, more than token.clockTolerance.`,
          'Synchronize both clocks, for example with chrony.',
        ),
      ];
    });
  };
}
