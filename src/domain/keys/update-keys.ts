import { type SigningKey, stateName } from '../model/signing-key.js';
import type { Clock, Database, KeySnapshot, KeyTransition, NewSigningKey, Stores } from '../ports/index.js';
import { JwtctlError } from '../shared/errors.js';

const ATTEMPTS = 20;

export interface KeyUpdatePorts {
  database: Database;
  clock: Clock;
  actor: string;
}

export interface KeyChange<T> {
  transitions?: readonly KeyTransition[];
  added?: readonly NewSigningKey[];
  reason: string | null;
  /** Runs in the same transaction, after the write, and returns the outcome. */
  finish(stores: Stores): Promise<T> | T;
}

export type KeyPlan<T> = { outcome: T } | { changeAt(now: number): KeyChange<T> | null };

/**
 * Plans a change of the keys and writes it, with an audit row for each key. If another command changes the
 * keys in between, writes nothing and runs `plan` again.
 * @param plan may generate keys and ask other stores. It returns null, as does `changeAt`, to be run again
 * @param onInvalid as in {@link KeyStore.snapshot}
 * @throws JwtctlError `ERR_DATABASE_CONFLICT` (unavailable) if the keys change each time; database errors
 */
export async function updateKeys<T>(
  { database, clock, actor }: KeyUpdatePorts,
  plan: (snapshot: KeySnapshot) => Promise<KeyPlan<T> | null> | KeyPlan<T>,
  action: string,
  onInvalid?: (error: JwtctlError) => void,
): Promise<T> {
  return untilUndisturbed(async () => {
    const snapshot = await database.keys.snapshot(onInvalid);
    const planned = await plan(snapshot);
    if (planned === null || 'outcome' in planned) return planned;
    return database.transaction(async (stores) => {
      const at = clock.now();
      const change = planned.changeAt(at);
      if (change === null) return null;
      const { transitions = [], added = [], reason } = change;
      const moved = [
        ...transitions.map(({ kid, to }) => ({ kid, state: to })),
        ...added.map((key) => ({ kid: key.kid, state: stateName(key) })),
      ];
      if (moved.length > 0 && !(await stores.keys.apply(snapshot.revision, transitions))) return null;
      for (const key of added) {
        const outcome = await stores.keys.insert(key);
        if (outcome !== 'inserted') throw new JwtctlError('ERR_BUG', `Key ${key.kid}: ${outcome}.`);
      }
      for (const { kid, state } of moved)
        await stores.auditLog.append({ at, actor, action, target: kid, outcome: state, reason });
      return { outcome: await change.finish(stores) };
    });
  });
}

/** Repeats an attempt until it returns an outcome. Null means that another command changed the keys first. */
export async function untilUndisturbed<T>(attempt: () => Promise<{ outcome: T } | null>): Promise<T> {
  for (let count = 1; count <= ATTEMPTS; count++) {
    const done = await attempt();
    if (done !== null) return done.outcome;
  }
  throw new JwtctlError('ERR_DATABASE_CONFLICT', 'Other commands kept changing the keys.');
}

export async function readBack({ keys }: Pick<Stores, 'keys'>, kid: string): Promise<SigningKey> {
  return (await keys.find(kid)) as SigningKey;
}
