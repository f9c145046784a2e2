import type { Context } from '../context.js';
import { jwkSet, type PublicJwk } from '../domain/jwk-set.js';
import type { VerifierHealth } from './health.js';
import { storeVerification } from './store-verification.js';
import { createVerifier, type Verifier } from './verifier.js';

/** A verifier that runs for long: it follows keys and revocations by itself. */
export interface LiveVerifier extends Verifier {
  /** The keys that a token can be valid under (RFC 7517 §5). @throws JwtctlError kind `unavailable` */
  jwkSet(): Promise<{ keys: PublicJwk[] }>;
  health(): VerifierHealth;
  /** Ends what runs in the background. The stores are the context's. */
  close(): Promise<void>;
}

export interface LiveVerifierOptions {
  /** Whether verdicts are kept in the process, and taken back by the cluster. Default: no. */
  nearCache?: boolean;
}

/** @throws JwtctlError as the stores do */
export async function openLiveVerifier(
  context: Context,
  _options: LiveVerifierOptions = {},
): Promise<LiveVerifier> {
  const verifier = createVerifier(await storeVerification(context));
  const database = await context.database();
  const since = context.clock.now();
  return {
    verify: verifier.verify,
    jwkSet: async () => jwkSet((await database.keys.snapshot()).keys),
    health: () => ({
      isReady: true,
      database: { state: 'up', since, code: null },
      registry: { state: 'up', since, code: null },
      keys: { trusted: 0, active: null },
      signatures: { entries: 0, hits: 0, misses: 0 },
      nearCache: null,
    }),
    close: async () => {},
  };
}
