import { formatDuration } from './duration.js';
import { JwtctlError } from './errors.js';
import { changeKeys } from './key-change.js';
import { keyStoreChanged, requireKey } from './key-lookup.js';
import { assertOpens } from './key-promotion.js';
import type { Clock, Database, Sealer } from './ports.js';
import { type LifetimePolicy, stepDown, stepUp } from './rotation.js';
import type { SigningKey } from './signing-key.js';

export interface ActivationPorts {
  database: Database;
  sealer: Sealer;
  clock: Clock;
  actor: string;
}

export interface ActivationInput {
  kid: string;
  policy: LifetimePolicy & { publishLeadSeconds: number };
  /** Let it sign although it has not been published for the lead. */
  now: boolean;
  dryRun: boolean;
}

/**
 * Lets a pending key sign from now on, in place of the active one. The active key stays as it is.
 *
 * @throws JwtctlError (state) `ERR_KEY_NOT_PENDING`; `ERR_KEY_NOT_PUBLISHED` without `now`; what {@link assertOpens}
 * throws
 */
export async function activateKey(ports: ActivationPorts, input: ActivationInput): Promise<SigningKey> {
  const { database, clock, actor } = ports;
  const key = await requireKey(database, input.kid);
  if (key.state === 'active') return key;
  assertActivatable(key, input, clock.now());
  if (input.dryRun) return { ...key, state: 'active' };
  await assertOpens(ports, key).catch(async (error) => {
    // What has become of it since is told by the transaction.
    if ((await database.keys.find(key.kid))?.state === 'pending') throw error;
  });

  return database.transaction(async (stores) => {
    const now = clock.now();
    const { revision, keys: current } = await stores.keys.snapshot();
    const found = current.find(({ kid }) => kid === key.kid);
    if (found?.state === 'active') return found;
    if (found === undefined) throw keyStoreChanged(key.kid);
    assertActivatable(found, input, now);
    const active = current.find(({ state }) => state === 'active');
    const transitions = [
      ...(active === undefined ? [] : [stepDown(active, input.policy, now)]),
      stepUp(found, input.policy, now),
    ];
    const change = { revision, transitions, added: [] };
    const row = { at: now, actor, action: 'keys.activate', reason: input.now ? 'forced' : null };
    if (!(await changeKeys(stores, change, row))) throw keyStoreChanged(key.kid);
    return (await stores.keys.find(key.kid)) as SigningKey;
  });
}

function assertActivatable(key: SigningKey, input: ActivationInput, now: number): void {
  if (key.state !== 'pending') {
    throw new JwtctlError('state', 'ERR_KEY_NOT_PENDING', `Key ${key.kid} is ${key.state} and cannot sign.`, {
      hint: 'Run `jwtctl keys list --state pending`, or `jwtctl keys generate`.',
    });
  }
  const publishedFrom = key.createdAt + input.policy.publishLeadSeconds;
  if (!input.now && now < publishedFrom) {
    throw new JwtctlError(
      'state',
      'ERR_KEY_NOT_PUBLISHED',
      `Key ${key.kid} may sign in ${formatDuration(publishedFrom - now)}, when verifiers can be expected to know it.`,
      { hint: 'Wait for it, or use --now.', details: { signsFrom: publishedFrom } },
    );
  }
}
