import { systemClock } from './app/clock.js';
import { type Context, createContext } from './app/context.js';
import { loadConfig } from './config/load-config.js';
import type { SettingsInput } from './config/settings.js';
import type { PublicJwk } from './domain/jose/jwk-set.js';
import { JwtctlError } from './domain/shared/errors.js';
import type { IssuedToken } from './domain/tokens/issued-token.js';
import { openStoreIssuer } from './issuer/store-issuer.js';
import type { Verifier } from './verifier/create-verifier.js';
import type { VerifierHealth } from './verifier/health.js';
import { openLiveVerifier } from './verifier/live-verifier.js';

export type OpenOptions = SettingsInput & {
  /** Whether to look for a project file (`jwtctl.yaml`) from the working directory upward. Default: false */
  projectFile?: boolean;
};

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

export interface OpenIssuer {
  /**
   * Signs a token, registers it, and writes an audit row with the actor `library`. Then returns the token.
   *
   * The issuer keeps the active key for up to 60 s. For that long after a rotation the old key may still
   * sign, and `verifyUntil` includes this time.
   *
   * @param request.sub 1 to 255 bytes of UTF-8 without control characters; must be an enabled user
   * @param request.aud default: `token.audience`
   * @param request.ttlSeconds default: `token.ttl`; at most `token.maxTtl`
   * @param request.claims claims other than the registered ones (RFC 7519 §4.1)
   * @throws JwtctlError `ERR_SUBJECT_INVALID`, `ERR_TTL_TOO_LONG` (usage), `ERR_USER_UNKNOWN` (not_found),
   * `ERR_USER_DISABLED`, `ERR_NO_ACTIVE_KEY` (state), kind `unavailable` if a store does not answer
   */
  issue(request: {
    sub: string;
    aud?: string | string[];
    ttlSeconds?: number;
    claims?: Record<string, unknown>;
  }): Promise<IssuedToken>;
  /** Waits for what is under way, then closes every connection. */
  close(): Promise<void>;
}

/** Opens an issuer on the stores that the CLI uses. Options and errors are those of {@link openVerifier}. */
export async function openIssuer(options: OpenOptions = {}): Promise<OpenIssuer> {
  const context = await openContext(options);
  return closingOnFailure(context, async () => {
    const issuer = await openStoreIssuer(context);
    const lifecycle = lifecycleOf(context);
    const issue: OpenIssuer['issue'] = ({ sub, aud, ttlSeconds, claims }) =>
      lifecycle.during(() =>
        issuer.issue({ sub, aud: aud === undefined ? undefined : [aud].flat(), ttlSeconds, claims }),
      );
    return { issue, close: lifecycle.end };
  });
}

/** Later calls fail with `ERR_CLOSED` (state) instead of a driver's error. */
function lifecycleOf(context: Context) {
  const running = new Set<Promise<unknown>>();
  let isOver = false;
  return {
    during: async <T>(work: () => Promise<T>): Promise<T> => {
      if (isOver) throw new JwtctlError('ERR_CLOSED', 'The issuer is closed. Open another one.');
      const result = work();
      running.add(result);
      return result.finally(() => running.delete(result));
    },
    end: async (): Promise<void> => {
      isOver = true;
      await Promise.allSettled(running);
      await context.dispose();
    },
  };
}

async function openContext({ projectFile, ...settings }: OpenOptions): Promise<Context> {
  const config = await loadConfig({
    argument: settings,
    env: process.env,
    cwd: process.cwd(),
    projectFile: projectFile === true,
  });
  if (config.storeNotice !== null) process.emitWarning(config.storeNotice);
  for (const warning of config.warnings) process.emitWarning(warning);
  return createContext({
    settings: config.settings,
    clock: systemClock,
    actor: 'library',
    notice: () => {},
    caution: (text) => process.emitWarning(text),
    warn: (text) => process.emitWarning(text),
    trace: () => {},
  });
}

async function closingOnFailure<T>(context: Context, open: () => Promise<T>): Promise<T> {
  try {
    return await open();
  } catch (error) {
    await context.dispose();
    throw error;
  }
}
