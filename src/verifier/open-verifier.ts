import { closingOnFailure, openContext } from '../app/open-context.js';
import type { OpenOptions } from '../app/open-options.js';
import type { PublicJwk } from '../domain/jose/jwk-set.js';
import type { Verifier } from './create-verifier.js';
import type { VerifierHealth } from './health.js';
import { openLiveVerifier } from './open-live-verifier.js';

export interface OpenVerifier extends Verifier {
  /** The keys that a token can be valid under (RFC 7517 §5). @throws JwtctlError kind `unavailable` */
  jwkSet(): Promise<{ keys: PublicJwk[] }>;
  /** Returns the last known state, for readiness and metrics. Sends no request. */
  health(): VerifierHealth;
  /** Waits for what is under way, then closes every connection. */
  close(): Promise<void>;
}

/**
 * Opens a verifier on the stores that the CLI uses. It follows keys and revocations in the background until
 * closed.
 *
 * Each verification asks the registry, so a revocation applies to the next one. With `nearCache`, verdicts
 * stay in memory until the registry invalidates them: within milliseconds, or within two seconds if a master
 * hangs. Revocations that Redis loses in a failover are restored from the security log, which is read every
 * second.
 *
 * The verifier reports to Redis which keys and events it has loaded, for commands that wait for all
 * verifiers. A verifier that is silent for 10 s plus the clock tolerance counts as gone.
 *
 * While MySQL does not answer, known keys and users stay valid for `verifier.grace`. While Redis does not
 * answer, no token is accepted, except from a near cache for at most one more second.
 *
 * @param options.nearCache default: the setting `verifier.nearCache`, which is off
 * @param options settings in the nesting of a configuration file (`{ mysql: { url }, redis: { nodes } }`).
 * They override variables, the user file, and the system file.
 * @throws JwtctlError (usage) for an invalid configuration; `ERR_NO_STORE`, `ERR_SCHEMA_OUTDATED` (state);
 * kind `unavailable` if MySQL does not answer. If Redis does not answer, the verifier opens after the
 * timeout.
 */
export async function openVerifier({
  nearCache,
  ...settings
}: OpenOptions & { nearCache?: boolean } = {}): Promise<OpenVerifier> {
  const context = await openContext(settings);
  return closingOnFailure(context, async () => {
    const verifier = await openLiveVerifier(context, nearCache === undefined ? {} : { nearCache });
    return {
      clock: verifier.clock,
      verify: (token) => verifier.verify(token),
      jwkSet: () => verifier.jwkSet(),
      health: () => verifier.health(),
      close: async () => {
        await verifier.close();
        await context.dispose();
      },
    };
  });
}
