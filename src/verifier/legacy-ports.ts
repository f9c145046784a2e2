import type { Clock, LegacyEntry, StatusReader, TokenStatusReader } from '../domain/ports/index.js';
import { JwtctlError } from '../domain/shared/errors.js';
import type { LegacyPorts } from '../domain/verification/check-legacy.js';
import type { DatabaseWatch } from './database-watch.js';
import type { KeyCache, KnownKey } from './key-cache.js';
import type { SecurityLogTail } from './security-log-tail.js';

const MOST_PER_SECOND = 1_000;
const MOST_AT_ONCE = 100;

interface LegacyLookupPorts {
  registry: Pick<TokenStatusReader, 'findLegacyEntry'>;
  statusReader: StatusReader;
  clock: Clock;
}

/** What a running verifier needs for legacy tokens. */
export function legacyPorts(
  acceptUntil: LegacyPorts['acceptUntil'],
  ports: LegacyLookupPorts & { keys: KeyCache; tail: SecurityLogTail; watch: DatabaseWatch },
): LegacyPorts<KnownKey> {
  const { keys, tail, watch } = ports;
  const lookups = new LegacyLookups(ports);
  return {
    acceptUntil,
    findEntry: (sub, id) => lookups.find(sub, id),
    findKey: async (keyId) => {
      const key = await keys.findById(keyId);
      if (key === null) watch.assertComplete();
      return key;
    },
    isRevoked: (sub, id) => tail.events.names(sub, id),
  };
}

/**
 * Looks up legacy tokens before their signature is checked. Anyone can invent such tokens, so the lookups are
 * limited. Tokens that were verified before need none.
 */
class LegacyLookups {
  readonly #ports: LegacyLookupPorts;
  #second = 0;
  #inSecond = 0;
  #running = 0;

  constructor(ports: LegacyLookupPorts) {
    this.#ports = ports;
  }

  /** @throws JwtctlError `ERR_LEGACY_OVERLOADED` (unavailable) above the limits, without a request */
  async find(sub: string, id: string): Promise<LegacyEntry | null> {
    this.#count();
    this.#running += 1;
    try {
      // First, because this reader knows when "missing" is not conclusive.
      const { exp } = await this.#ports.statusReader.of(sub, { jti: id, keyId: 0, iat: 0 }).read();
      return exp === null ? null : await this.#ports.registry.findLegacyEntry(sub, id);
    } finally {
      this.#running -= 1;
    }
  }

  #count(): void {
    const now = this.#ports.clock.now();
    if (now !== this.#second) {
      this.#second = now;
      this.#inSecond = 0;
    }
    if (this.#running >= MOST_AT_ONCE || this.#inSecond >= MOST_PER_SECOND) throw tooMany();
    this.#inSecond += 1;
  }
}

function tooMany(): JwtctlError {
  return new JwtctlError(
    'ERR_LEGACY_OVERLOADED',
    `This verifier looks up at most ${MOST_PER_SECOND} unknown legacy tokens per second, and ${MOST_AT_ONCE} at once.`,
  );
}
