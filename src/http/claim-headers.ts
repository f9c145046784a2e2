import { decodeToken } from '../domain/jose/jws.js';
import { stringifySpelled } from '../domain/shared/json-numbers.js';
import { withDigits } from '../domain/verification/claim-digits.js';
import type { Acceptance } from '../domain/verification/verify.js';
import { headerText } from './verify-responses.js';

/** nginx reads all headers of an answer into one buffer, which has 8 KB in the sample configuration. */
const MOST_BYTES = 4096;

/** The headers of `serve.headers` for accepted tokens, with names in lower case. */
export class ClaimHeaders {
  readonly #claims: ReadonlyArray<readonly [name: string, claim: string]>;
  /** Verifiers keep one acceptance for each token that they remember. */
  readonly #known = new WeakMap<Acceptance, Readonly<Record<string, string>>>();

  constructor(claims: Readonly<Record<string, string>>) {
    this.#claims = Object.entries(claims).map(([name, claim]) => [name.toLowerCase(), claim]);
  }

  /** Returns null if the headers would be too long, or their claims are nested too deep. */
  of(acceptance: Acceptance, token: string): Readonly<Record<string, string>> | null {
    if (this.#claims.length === 0) return NONE;
    const known = this.#known.get(acceptance);
    if (known !== undefined) return known;
    const headers = this.#read(acceptance, token);
    if (headers !== null) this.#known.set(acceptance, headers);
    return headers;
  }

  #read({ payload }: Acceptance, token: string): Readonly<Record<string, string>> | null {
    const decoded = decodeToken(token);
    if (typeof decoded === 'string') return null;
    const claims = withDigits(payload, decoded.payload);
    const headers: Record<string, string> = {};
    let bytes = 0;
    for (const [name, claim] of this.#claims) {
      const value = Object.hasOwn(claims, claim) ? claims[claim] : undefined;
      // Absent, so that an application cannot take the text `null` for a value.
      if (value === undefined || value === null) continue;
      const text = headerText(typeof value === 'string' ? value : stringifySpelled(value));
      headers[name] = text;
      bytes += name.length + text.length + ': \r\n'.length;
    }
    return bytes > MOST_BYTES ? null : headers;
  }
}

const NONE = {};
