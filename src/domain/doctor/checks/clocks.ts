import { formatDuration } from '../../shared/duration.js';
import { type Check, type DoctorPorts, type Finding, fault } from '../check.js';

export const clocks: Check = {
  name: 'clocks',
  title: 'The clocks of this host, MySQL, and Redis agree.',
  run: async (ports) => {
    const [server, nodes] = await Promise.all([askDatabase(ports), askNodes(ports)]);
    return [...server, ...nodes].flatMap((answer) => judge(answer, ports.policy));
  },
};

/** The clock of a store, and when this host asked for it and had the answer. */
interface StoreTime {
  store: string;
  time: number;
  asked: number;
  answered: number;
}

async function askDatabase({ clock, database: open }: DoctorPorts): Promise<StoreTime[]> {
  const database = await open();
  const asked = clock.now();
  const time = (await database.server())?.time;
  return time === undefined ? [] : [{ store: 'MySQL', time, asked, answered: clock.now() }];
}

/** Waiting for one server that is away must not blur the times of the others. */
async function askNodes({ clock, registry }: DoctorPorts): Promise<StoreTime[]> {
  const nodes = await (await registry()).nodes();
  const [now, nowMs] = [clock.now(), performance.now()];
  const timeOf = (ms: number) => now - (nowMs - ms) / 1000;
  return nodes.flatMap(({ node, time, exchange }) => {
    if (time === null || exchange === null) return [];
    const [asked, answered] = [timeOf(exchange.askedMs), timeOf(exchange.answeredMs)];
    return [{ store: `Redis at ${node}`, time, asked, answered }];
  });
}

function judge(
  { store, time, asked, answered }: StoreTime,
  { clockToleranceSeconds }: DoctorPorts['policy'],
): Finding[] {
  const seconds = Math.floor(Math.max(asked - time, time - answered));
  if (seconds <= clockToleranceSeconds + 1) return [];
  const difference = `${formatDuration(seconds)} ${time < asked ? 'ahead of' : 'behind'}`;
  return [
    fault(
      `The clock of this host is ${difference} the clock of ${store}, more than token.clockTolerance.`,
      'Synchronize both clocks, for example with chrony.',
    ),
  ];
}
