import { createHash } from 'node:crypto';
import { isIPv6 } from 'node:net';

const MOST_FAILURES = 10;
const WINDOW_SECONDS = 60;
/** Above this number, forgets the oldest address, so that many attacking addresses cannot fill the memory. */
const MOST_ADDRESSES = 10_000;

/** A repeated credential counts once: an outdated client must not lock out others behind the same proxy. */
export class FailedAttempts {
  readonly #now: () => number;
  /** Per address, the time when the digest of each wrong credential was first seen. */
  readonly #failures = new Map<string, Map<string, number>>();

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Returns how many seconds the address must wait; null if it need not wait. */
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

/** Returns the first 64 bits of an IPv6 address, because one client usually has the whole /64. */
function networkOf(address: string): string {
  const mapped = /^::ffff:([\d.]+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  if (!isIPv6(address)) return address;
  const [head = '', tail] = address.split('::');
  const [before, after] = [head, tail ?? ''].map((part) => part.split(':').filter(Boolean));
  const zeros = tail === undefined ? 0 : 8 - (before?.length ?? 0) - (after?.length ?? 0);
  return [...(before ?? []), ...Array<string>(zeros).fill('0'), ...(after ?? [])].slice(0, 4).join(':');
}
