import { inspectRegistry } from '../../inspection/inspect.js';
import type { Anomalies, Inspection } from '../../inspection/types.js';
import { asSentence } from '../../shared/text.js';
import { type Check, type DoctorPorts, type Finding, fault, warning } from '../check.js';
import { readableKeys } from '../key-status.js';

export const entries: Check = {
  name: 'entries',
  title: 'Each entry of the registry expires in time, and has a known key and a known user.',
  run: async (ports) => {
    const found = ports.inspection ?? (await inspectDeep(ports));
    return [...missedParts(found), ...anomalies(found.anomalies)];
  },
};

async function inspectDeep(ports: DoctorPorts): Promise<Inspection> {
  const { clock, policy, signal, onProgress } = ports;
  const [registry, users, keys] = await Promise.all([ports.registry(), ports.users(), readableKeys(ports)]);
  return inspectRegistry(registry, keys, {
    ...{ now: clock.now(), top: 0, clockToleranceSeconds: policy.clockToleranceSeconds },
    ...{ signal, onProgress, deep: { users } },
  });
}

function missedParts({ missed }: Inspection): Finding[] {
  return missed.map((part) =>
    fault(asSentence(`Not read: ${part}`), 'Run the command again when all masters respond.'),
  );
}

function anomalies(found: Anomalies): Finding[] {
  return RULES.flatMap(({ anomaly, message, remedy }) =>
    (found[anomaly] ?? 0) > 0 ? [warning(`${message}: ${found[anomaly]}.`, remedy)] : [],
  );
}

const CORRECT_EXPIRY =
  'Run `jwtctl cache reconcile`. If the problem returns, find the program that writes to these keys.';

const RULES: ReadonlyArray<{ anomaly: keyof Anomalies; message: string; remedy: string }> = [
  {
    anomaly: 'noTtl',
    message: 'Subjects whose set never expires',
    remedy: CORRECT_EXPIRY,
  },
  {
    anomaly: 'ttlMismatch',
    message: 'Subjects whose set does not expire with its last token',
    remedy: CORRECT_EXPIRY,
  },
  {
    anomaly: 'unknownKid',
    message: 'Tokens signed with keys that the database does not have',
    remedy: 'Run `jwtctl cache inspect` to see the keys, and `jwtctl cache reconcile` to remove the tokens.',
  },
  {
    anomaly: 'unknownUser',
    message: 'Subjects that are not in the user directory',
    remedy: 'Check `users.*`. Then run `jwtctl cache reconcile`.',
  },
  {
    anomaly: 'malformed',
    message: 'Set members that are not tokens',
    remedy: 'Find the program that writes to these keys, or choose another `redis.prefix`.',
  },
];
