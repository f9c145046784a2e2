import { createHash } from 'node:crypto';
import { isIPv6 } from 'node:net';

/** So many credentials may be wrong… */
const MOST_FAILURES = 10;
/** …from one address within so many seconds. */
const WINDOW_SECONDS = 60;
/** Beyond them the oldest is forgotten: strangers with many addresses must not fill the memory. */
const MOST_ADDRESSES = 10_000;

/**
 * Counts the wrong credentials of each address. The same one again counts once: a program that goes on with an old secret
 * guesses nothing, and must not lock out others behind the same proxy.
 */
export class FailedAttempts {
  readonly #now: () => number;
  /** By address: when each wrong credential was first seen, by its digest. */
  readonly #failures = new Map<string, Map<string, number>>();

  /** @param now NumericDate seconds */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** How many seconds the address has to wait; null where its next credential may be looked at. */
  waitSeconds(address: string): number | null {
    const failures = this.#recent(networkOf(address));
    if (failures.size < MOST_FAILURES) return null;
    return Math.max(1, Math.min(...failures.values()) + WINDOW_SECONDS - this.#now());
  }

  add(address: string, credential: string): void {
    const network = networkOf(address);
    const failures = this.#recent(network);
    const digest = createHash('sha256').update(credential).digest('base64');
    if (!failures.has(digest)) failures.set(digest, this.#now());
    this.#failures.delete(network);
    this.#failures.set(network, failures);
    for (const oldest of this.#failures.keys()) {
      if (this.#failures.size <= MOST_ADDRESSES) return;
      this.#failures.delete(oldest);
    }
  }

  #recent(network: string): Map<string, number> {
    const now = this.#now();
    const failures = [...(this.#failures.get(network) ?? [])];
    return new Map(failures.filter(([, at]) => at <= now && now < at + WINDOW_SECONDS));
  }
}

/** An IPv4 address as it is. Of an IPv6 address the first 64 bits: whoever has one has all that share them. */
function networkOf(address: string): string {
  const mapped = /^::ffff:([\d.]+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  if (!isIPv6(address)) return address;
  const [head = '', tail] = address.split('::');
  const [before, after] = [head, tail ?? ''].map((part) => part.split(':').filter(Boolean));
  const zeros = tail === undefined ? 0 : 8 - (before?.length ?? 0) - (after?.length ?? 0);
  return [...(before ?? []), ...Array<string>(zeros).fill('0'), ...(after ?? [])].slice(0, 4).join(':');
}
