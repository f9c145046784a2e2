import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { isSigningAlgorithm } from '../../src/domain/model/signing-key.js';
import { createVerifier } from '../../src/verifier/create-verifier.js';

interface Group {
  file: string;
  key: { kid: string; alg?: string; [member: string]: unknown };
  tests: Array<{ id: number; comment: string; jws: string; valid: boolean }>;
}

const { groups } = JSON.parse(readFileSync(new URL('./wycheproof-rsa.json', import.meta.url), 'utf8')) as {
  groups: Group[];
};

/** RFC 7520 §4.2, whose JWK here names PS256 although the JWS has PS384. The alg of the key is binding. */
const CONTRADICTING_ALG = new Set([346, 350]);

/** No payload is a Claims Set. So a JWS with a valid signature gets as far as this refusal. */
const VALID = 'The payload is not a JSON object.';

describe.each(groups)('$file, key $key.kid', ({ key, tests }) => {
  test.each(tests)('$id: $comment', async ({ id, jws, valid }) => {
    // The keys without an alg have the one of their kid: RS384_2048, or kid-rsa-sign with RS256.
    const alg = [key.alg, key.kid.slice(0, 5)].find(isSigningAlgorithm) ?? 'RS256';
    const verifier = createVerifier({
      findKey: (kid) => (kid === key.kid ? { kid, alg, state: 'active', jwk: key } : null),
      findStatus: () => ({ entry: null, user: 'unknown', revoked: false }),
      policy: { issuer: 'issuer', audience: 'audience' },
    });
    const result = await verifier.verify(jws);
    expect(result.active).toBe(false);
    const isVerified = 'error' in result && result.error.message === VALID;
    expect(isVerified).toBe(valid && !CONTRADICTING_ALG.has(id));
  });
});
