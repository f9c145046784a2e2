import type { Context } from '../app/context.js';
import type { SecurityEvent } from '../domain/ports/index.js';
import type { StatusPolicy } from '../domain/security-log/cached-user-status.js';
import { ifReachable } from '../domain/shared/unavailable.js';
import type { VerificationResult } from '../domain/verification/verify.js';
import { DatabaseWatch } from './database-watch.js';
import { Follower } from './follower.js';
import { HeartbeatSender } from './heartbeat-sender.js';
import { KeyCache } from './key-cache.js';
import { legacyPorts } from './legacy-ports.js';
import { type LiveVerifier, StoreVerifier } from './live-verifier.js';
import { SecurityLogTail } from './security-log-tail.js';
import type { StateChange } from './state-watch.js';
import { StoreState } from './store-state.js';
import { UserLookup } from './user-lookup.js';
import { UserStates } from './user-states.js';

export interface LiveVerifierOptions {
  /** Whether to keep verdicts in memory until the registry invalidates them. Default: `verifier.nearCache` */
  nearCache?: boolean;
  warn?: (text: string) => void;
  onStateChange?: (change: StateChange) => void;
  /** Called with each event of the security log, and with all of them again every minute. */
  onSecurityEvent?: ((event: SecurityEvent) => void) | undefined;
}

/** Resolves after the first read of keys and security log. @throws errors of the stores */
export async function openLiveVerifier(
  context: Context,
  options: LiveVerifierOptions = {},
): Promise<LiveVerifier> {
  const { settings, clock } = context;
  const { token, users: userSettings, verifier: verifierSettings } = settings;
  const [database, registry, users] = await Promise.all([
    context.database(),
    context.registry(),
    context.users(),
  ]);
  const { nearCache = verifierSettings.nearCache, warn = (text) => process.emitWarning(text) } = options;
  const { onStateChange = () => {} } = options;
  const graceSeconds = Math.max(verifierSettings.grace, MIN_GRACE_SECONDS);
  const statusPolicy: StatusPolicy = {
    statusTtlSeconds: userSettings.statusTtl,
    clockToleranceSeconds: token.clockTolerance,
    logsUserChanges: userSettings.source === 'managed',
  };
  const keys = new KeyCache(database.keys, clock, { maxAgeSeconds: graceSeconds, warn });
  const tail = new SecurityLogTail(database.securityLog, clock, options.onSecurityEvent);
  const databaseState = new StoreState(clock);
  const heartbeatState = new StoreState(clock);
  const refusals = { count: 0 };
  const heartbeatSender = new HeartbeatSender({
    ...{ registry, keys, tail, clock, state: heartbeatState, refusals, warn },
  });
  const watch = new DatabaseWatch({ database, keys, tail, marks: registry.marks, clock, warn });
  const follower = new Follower({ keys, tail, clock, state: databaseState, heartbeatSender, watch });
  const states = new UserStates({
    ...{ users, registry, policy: statusPolicy },
    rememberedUsers: Math.max(verifierSettings.rememberedTokens, MIN_REMEMBERED_USERS),
  });
  const statusReader = registry.openStatusReader({ nearCache, now: clock.now, warn });
  // Without the registry, the verifier starts anyway.
  const connecting = ifReachable(() => statusReader.open(), 0);
  await follower.begin(connecting).catch((error) => {
    statusReader.close();
    throw error;
  });
  const epoch = await connecting;
  const verifier = new StoreVerifier(
    {
      ...{ keys, tail, follower, watch, states, clock, databaseState, heartbeatState, statusReader, epoch },
      refusals,
      legacy: legacyPorts(token.acceptLegacy, { registry, statusReader, clock, keys, tail, watch }),
      users: new UserLookup({ states, tail, watch, clock, databaseState }, { ...statusPolicy, graceSeconds }),
    },
    {
      ...statusPolicy,
      idleTimeoutSeconds: token.idleTimeout,
      issuer: token.issuer,
      audience: token.audience,
      acceptTypes: token.acceptTypes,
      graceSeconds,
      rememberedTokens: verifierSettings.rememberedTokens,
      nearCache,
    },
    onStateChange,
  );
  (await context.tracing())?.trace(verifier, 'verify', 'jwtctl.verify', (result: VerificationResult) =>
    result.active ? 'active' : result.error.code,
  );
  return verifier;
}

const MIN_REMEMBERED_USERS = 20_000;

/** With less, a slow database would count as down. */
const MIN_GRACE_SECONDS = 10;
