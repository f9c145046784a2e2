import { systemClock } from './app/clock.js';
import { type Context, createContext } from './app/context.js';
import { loadConfig } from './config/load.js';
import type { SettingsInput } from './config/settings.js';
import type { PublicJwk } from './domain/jose/jwk-set.js';
import { JwtctlError } from './domain/shared/errors.js';
import type { IssuedToken } from './domain/tokens/issued-token.js';
import { openStoreIssuer } from './issuer/store-issuer.js';
import type { VerifierHealth } from './verifier/health.js';
import { openLiveVerifier } from './verifier/live-verifier.js';
import type { Verifier } from './verifier/verifier.js';

export type OpenOptions = SettingsInput & {
  /** Whether to look for a project file (`jwtctl.yaml`) from the working directory upward, as the CLI does. */
  projectFile?: boolean;
};

export interface OpenVerifier extends Verifier {
  /** The keys that a token can be valid under, as a JWK Set (RFC 7517 §5). @throws JwtctlError kind `unavailable` */
  jwkSet(): Promise<{ keys: PublicJwk[] }>;
  /** What it knows of its stores and of itself, for readiness and metrics; asks nobody. */
  health(): VerifierHealth;
  /** Waits for what is under way, then closes every connection. */
  close(): Promise<void>;
}

/**
 * A verifier over the stores that the CLI works with. It follows keys and revocations in the background until it is closed.
 *
 * A revocation takes effect with the next verification, for the registry is asked each time. With `nearCache` verdicts are
 * kept in the process until the registry takes them back, which takes milliseconds; where a master hangs, at most two seconds.
 * Whatever the registry loses in a failover, the security log repeats: it is read every second.
 *
 * It tells in Redis which keys and which events of the security log it has read, for commands that wait until all verifiers
 * have; one that has been silent for 10 s and the clock tolerance counts as gone.
 *
 * While MySQL does not answer, the keys and users that are known serve on for `verifier.grace`; while Redis does not, nothing
 * is accepted, but for what a near cache holds for another second.
 *
 * Settings come from `options`, variables, the user file, and the system file. A project file is read only if
 * `projectFile` is true.
 *
 * @param options.nearCache default: the setting `verifier.nearCache`, which is off
 * @param options.projectFile default: false
 * @param options settings that go before those of variables and files, in the nesting of a configuration file:
 * `{ mysql: { url }, redis: { nodes } }`
 * @throws JwtctlError (usage) for a configuration that cannot be used; `ERR_NO_STORE`, `ERR_SCHEMA_OUTDATED` (state);
 * kind `unavailable` where MySQL does not answer. Where Redis does not, it opens all the same, after the time-out.
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
   * Signs a token and registers it; what is returned is registered.
   *
   * The active key is held for up to 60 s: that long after a rotation the key before may still sign, and `verifyUntil`
   * allows for it.
   *
   * @param request.sub 1 to 255 bytes of UTF-8 without control characters; has to be an enabled user
   * @param request.aud default: `token.audience`
   * @param request.ttlSeconds default: `token.ttl`; at most `token.maxTtl`
   * @param request.claims claims beside the registered ones of RFC 7519 §4.1
   * @throws JwtctlError `ERR_SUBJECT_INVALID`, `ERR_TTL_TOO_LONG` (usage), `ERR_USER_UNKNOWN` (not_found),
   * `ERR_USER_DISABLED`, `ERR_NO_ACTIVE_KEY` (state), kind `unavailable` where a store cannot answer
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

/** An issuer over the stores that the CLI works with. `options` and errors as with {@link openVerifier}. */
export async function openIssuer(options: OpenOptions = {}): Promise<OpenIssuer> {
  const context = await openContext(options);
  return closingOnFailure(context, async () => {
    const issuer = await openStoreIssuer(context);
    const life = lifeOf(context);
    const issue: OpenIssuer['issue'] = ({ sub, aud, ttlSeconds, claims }) =>
      life.during(() =>
        issuer.issue({
          sub,
          ...(aud === undefined ? {} : { aud: [aud].flat() }),
          ...(ttlSeconds === undefined ? {} : { ttlSeconds }),
          ...(claims === undefined ? {} : { claims }),
        }),
      );
    return { issue, close: life.end };
  });
}

/** What has begun is finished before the end; what is asked after it is a JwtctlError `ERR_CLOSED` (state), not whatever a closed driver says. */
function lifeOf(context: Context) {
  const running = new Set<Promise<unknown>>();
  let isOver = false;
  return {
    during: async <T>(work: () => Promise<T>): Promise<T> => {
      if (isOver) throw new JwtctlError('ERR_CLOSED', 'This has been closed; open another one.');
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
