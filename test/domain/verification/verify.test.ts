import { createHmac } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import {
  KEY_STATES,
  SIGNING_ALGORITHMS,
  type SigningAlgorithm,
} from '../../../src/domain/model/signing-key.js';
import type { TokenStatus } from '../../../src/domain/verification/check-status.js';
import type { VerificationPorts } from '../../../src/domain/verification/verify.js';
import { createVerifier } from '../../../src/verifier/create-verifier.js';
import { encodePart, rsaPair, signJws, verificationKey } from '../../support/signing.js';

const NOW = 1_700_000_000;
const TOLERANCE = 5;
const pair = rsaPair();
const otherPair = rsaPair();

const HEADER = { alg: 'RS256', typ: 'JWT', kid: 'k1' };
const CLAIMS = {
  iss: 'jwtctl',
  sub: 'alice',
  aud: 'user',
  iat: NOW - 60,
  exp: NOW + 3600,
  jti: 'jti-1',
};

/** Returns a verifier with one key and one token status, and records its questions. */
function verifierWith(
  parts: {
    key?: Partial<Parameters<typeof verificationKey>[1]>;
    tokenStatus?: Partial<TokenStatus>;
    policy?: Partial<VerificationPorts['policy']>;
    now?: number;
  } = {},
) {
  const key = verificationKey(pair, { kid: 'k1', ...parts.key });
  const asked: { kids: string[]; statusReader: unknown[] } = { kids: [], statusReader: [] };
  const verifier = createVerifier({
    findKey: (kid) => {
      asked.kids.push(kid);
      return kid === key.kid ? key : null;
    },
    findStatus: (token) => {
      asked.statusReader.push(token);
      const entry = { kid: token.kid, iat: token.iat, exp: token.exp };
      return { entry, user: 'enabled', revoked: false, ...parts.tokenStatus };
    },
    policy: { issuer: 'jwtctl', audience: 'user', clockToleranceSeconds: TOLERANCE, ...parts.policy },
    now: () => parts.now ?? NOW,
  });
  return { verify: verifier.verify, asked };
}

type Setup = Parameters<typeof verifierWith>[0];

function signed(claims: Record<string, unknown> = {}, header: Record<string, unknown> = {}): Promise<string> {
  return signJws(pair, { ...HEADER, ...header }, { ...CLAIMS, ...claims });
}

async function codeOf(token: string, setup: Setup = {}): Promise<string> {
  const result = await verifierWith(setup).verify(token);
  return result.active ? 'active' : result.error.code;
}

/** Expects a refusal without a question about the token status. */
async function expectRefusedEarly(token: string, code: string, setup: Setup = {}): Promise<void> {
  const { verify, asked } = verifierWith(setup);
  expect(await verify(token)).toMatchObject({ active: false, error: { code } });
  expect(asked.statusReader).toEqual([]);
}

describe('a valid token', () => {
  test('returns its header and claims', async () => {
    const { verify, asked } = verifierWith();
    expect(await verify(await signed({ role: 'admin', nested: { a: [1] } }))).toEqual({
      active: true,
      header: HEADER,
      payload: { ...CLAIMS, role: 'admin', nested: { a: [1] } },
    });
    expect(asked).toEqual({
      kids: ['k1'],
      statusReader: [{ sub: 'alice', jti: 'jti-1', kid: 'k1', iat: CLAIMS.iat, exp: CLAIMS.exp }],
    });
  });

  test.each(SIGNING_ALGORITHMS)('may be signed with %s, if that is the algorithm of its key', async (alg) => {
    const token = await signJws(pair, { ...HEADER, alg }, CLAIMS, alg);
    expect(await codeOf(token, { key: { alg } })).toBe('active');
  });

  test.each(KEY_STATES)('depends on the state of its key: %s', async (state) => {
    const isTrusted = state === 'pending' || state === 'active' || state === 'retiring';
    expect(await codeOf(await signed(), { key: { state } })).toBe(
      isTrusted ? 'active' : 'ERR_KEY_NOT_TRUSTED',
    );
  });

  test.each([
    { name: 'an aud that is an array with the audience in it', claims: { aud: ['admin', 'user'] } },
    { name: 'an nbf in the past', claims: { nbf: NOW } },
    { name: 'an exp within the tolerance', claims: { exp: NOW - TOLERANCE + 1 } },
    { name: 'an nbf within the tolerance', claims: { nbf: NOW + TOLERANCE } },
    { name: 'an iat within the tolerance', claims: { iat: NOW + TOLERANCE } },
    { name: 'a sub in any script', claims: { sub: '中 😀 é' } },
    { name: 'a sub that looks like a pattern', claims: { sub: '*' } },
  ])('may have $name', async ({ claims }) => {
    expect(await codeOf(await signed(claims))).toBe('active');
  });

  test('may have unknown claims and header parameters', async () => {
    expect(
      await codeOf(await signed({ '': 0, unknown: null }, { x5t: 'x', jku: 'https://evil.example' })),
    ).toBe('active');
  });
});

describe('the JWS', () => {
  const alg = 'ERR_ALG_NOT_ALLOWED';
  const malformed = 'ERR_TOKEN_MALFORMED';
  const unknown = 'ERR_KEY_UNKNOWN';
  const invalid = 'ERR_SIGNATURE_INVALID';

  test('with an unknown alg is refused, whatever its kid', async () => {
    const unsigned = (header: unknown) => `${encodePart(header)}.${encodePart(CLAIMS)}.`;
    for (const none of ['none', 'None', 'NONE', 'nOnE', '', 'ES256', 'EdDSA', 'RS1', 'rs256', 'RS256 ']) {
      await expectRefusedEarly(unsigned({ alg: none, kid: 'k1' }), alg);
      await expectRefusedEarly(unsigned({ alg: none }), alg);
      await expectRefusedEarly(await signed({}, { alg: none }), alg);
    }
    for (const odd of [null, 5, true, ['RS256'], { alg: 'RS256' }]) {
      await expectRefusedEarly(unsigned({ alg: odd, kid: 'k1' }), alg);
    }
    await expectRefusedEarly(unsigned({ kid: 'k1' }), alg);
  });

  test('with a known alg but no signature is refused', async () => {
    await expectRefusedEarly(`${encodePart(HEADER)}.${encodePart(CLAIMS)}.`, invalid);
  });

  test('with a MAC made with the public key is refused', async () => {
    const pem = pair.publicKey.export({ type: 'spki', format: 'pem' });
    const der = pair.publicKey.export({ type: 'spki', format: 'der' });
    for (const secret of [pem, der, pem.toString().trim()]) {
      const header = { ...HEADER, alg: 'HS256' };
      const signingInput = `${encodePart(header)}.${encodePart(CLAIMS)}`;
      const mac = createHmac('sha256', secret).update(signingInput).digest('base64url');
      await expectRefusedEarly(`${signingInput}.${mac}`, alg);

      const asRsa = `${encodePart(HEADER)}.${encodePart(CLAIMS)}`;
      const asRsaMac = createHmac('sha256', secret).update(asRsa).digest('base64url');
      await expectRefusedEarly(`${asRsa}.${asRsaMac}`, invalid);
    }
  });

  test.each(SIGNING_ALGORITHMS)(
    'says which algorithm its key has: %s under each other one is refused',
    async (own) => {
      for (const used of SIGNING_ALGORITHMS.filter((other) => other !== own)) {
        const token = await signJws(pair, { ...HEADER, alg: used }, CLAIMS, used);
        await expectRefusedEarly(token, alg, { key: { alg: own } });
        const inDisguise = await signJws(pair, { ...HEADER, alg: own }, CLAIMS, used as SigningAlgorithm);
        await expectRefusedEarly(inDisguise, invalid, { key: { alg: own } });
      }
    },
  );

  test('with an unknown kid is refused, and the kid is looked up unchanged', async () => {
    const { verify, asked } = verifierWith();
    expect(await verify(await signed({}, { kid: 'K1' }))).toMatchObject({ error: { code: unknown } });
    expect(asked.kids).toEqual(['K1']);
  });

  test('with a kid that no key can have is refused without a lookup', async () => {
    const kids = [
      ...['', 'k1\n', 'k1\u0000', '\u009b', '\ud800', 'x'.repeat(256), 'é'.repeat(128)],
      ...[null, 1, true, ['k1'], { kid: 'k1' }, undefined],
    ];
    for (const kid of kids) {
      const { verify, asked } = verifierWith();
      const token = await signJws(pair, { ...HEADER, kid }, CLAIMS);
      expect(await verify(token), JSON.stringify(kid)).toMatchObject({ error: { code: unknown } });
      expect(asked).toEqual({ kids: [], statusReader: [] });
    }
  });

  test('with the name of an Object.prototype member as kid is refused', async () => {
    for (const kid of ['constructor', 'toString', 'hasOwnProperty']) {
      await expectRefusedEarly(await signed({}, { kid }), unknown);
    }
    const inherited = `{"__proto__":{"alg":"RS256","kid":"k1"}}`;
    await expectRefusedEarly(await signJws(pair, inherited, CLAIMS), alg);
  });

  test('signed by another key is refused', async () => {
    await expectRefusedEarly(await signJws(otherPair, HEADER, CLAIMS), invalid);
  });

  test('that contains its own key is refused', async () => {
    const jwk = otherPair.publicKey.export({ format: 'jwk' });
    await expectRefusedEarly(await signJws(otherPair, { ...HEADER, jwk }, CLAIMS), invalid);
  });

  test('signed by a key of another size is refused, not an error', async () => {
    const small = rsaPair(1024);
    await expectRefusedEarly(await signJws(small, HEADER, CLAIMS), invalid);
    await expectRefusedEarly(
      `${await signJws(small, { ...HEADER, alg: 'PS256' }, CLAIMS, 'PS256')}`,
      invalid,
      {
        key: { alg: 'PS256' },
      },
    );
  });

  test('whose payload was changed is refused', async () => {
    const [header, , signature] = (await signed()).split('.');
    const payload = encodePart({ ...CLAIMS, sub: 'root' });
    await expectRefusedEarly(`${header}.${payload}.${signature}`, invalid);
  });

  test('whose header was changed is refused', async () => {
    const [, payload, signature] = (await signed()).split('.');
    const header = encodePart({ ...HEADER, typ: 'at+jwt' });
    await expectRefusedEarly(`${header}.${payload}.${signature}`, invalid);
  });

  test('with any one bit of the signature flipped is refused', async () => {
    const [header, payload, encoded = ''] = (await signed()).split('.');
    for (let bit = 0; bit < 256 * 8; bit += 97) {
      const signature = Buffer.from(encoded, 'base64url');
      signature[bit >> 3] = (signature[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      await expectRefusedEarly(`${header}.${payload}.${signature.toString('base64url')}`, invalid);
    }
  });

  test('whose signature was cut or lengthened is refused', async () => {
    const [header, payload, encoded = ''] = (await signed()).split('.');
    const signature = Buffer.from(encoded, 'base64url');
    const zeros = Buffer.alloc(256);
    const others = [
      signature.subarray(1),
      signature.subarray(0, 255),
      Buffer.concat([signature, zeros]),
      zeros,
    ];
    for (const other of [...others, Buffer.concat([Buffer.from([0]), signature]), Buffer.alloc(0)]) {
      await expectRefusedEarly(`${header}.${payload}.${other.toString('base64url')}`, invalid);
    }
  });

  test('in another encoding of the same bytes is refused', async () => {
    const token = await signed();
    const [header = '', payload = '', signature = ''] = token.split('.');
    const spellings = [
      `${token}=`,
      `${token}==`,
      `${header}=.${payload}.${signature}`,
      `${header}.${payload}==.${signature}`,
      `${token}\n`,
      `\n${token}`,
      ` ${token}`,
      `${token} `,
      `${header}. ${payload}.${signature}`,
      `${header}.${payload}\n.${signature}`,
      `${header}.${payload.slice(0, 9)}\r\n${payload.slice(9)}.${signature}`,
      `\ufeff${token}`,
      `${header}.${payload}.${signature.replaceAll('-', '+').replaceAll('_', '/')}+`,
      `Bearer ${token}`,
      `"${token}"`,
    ];
    for (const spelling of spellings) {
      expect(spelling).not.toBe(token);
      await expectRefusedEarly(spelling, malformed);
    }
  });

  test('with unused bits set in the last character of a part is refused', async () => {
    const token = await signed();
    // In 256 bytes, the lower four bits of the last character are unused.
    const last = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'.indexOf(
      token.at(-1) ?? '',
    );
    expect(last & 0b1111).toBe(0);
    for (const unused of [1, 2, 8, 15]) {
      const character = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'[last | unused];
      const respelt = token.slice(0, -1) + character;
      expect(Buffer.from(respelt.split('.')[2] ?? '', 'base64url')).toEqual(
        Buffer.from(token.split('.')[2] ?? '', 'base64url'),
      );
      await expectRefusedEarly(respelt, malformed);
    }
  });

  test('in another serialization is refused', async () => {
    const token = await signed();
    const [header, payload, signature] = token.split('.');
    const others = [
      ...['', '.', '..', '...', 'x', 'null', '{}', `${header}`, `${header}.${payload}`],
      ...[`${token}.`, `.${token}`, `${token}.x`, `${header}..${payload}.${signature}`],
      ...[`${header}.${payload}.${signature}.${signature}.${signature}`, `.${payload}.${signature}`],
      JSON.stringify({ protected: header, payload, signature }),
      JSON.stringify({ payload, signatures: [{ protected: header, signature }] }),
    ];
    for (const other of others) await expectRefusedEarly(other, malformed);
  });

  test('with trailing garbage is refused', async () => {
    const token = await signed();
    await expectRefusedEarly(`${token}A`, invalid);
    await expectRefusedEarly(`${token}AAA`, malformed);
    await expectRefusedEarly(`${token}AAAA`, invalid);
    await expectRefusedEarly(`${token}\u0000`, malformed);
  });

  test('that is too long is refused before it is decoded', async () => {
    await expectRefusedEarly(await signed({ filler: 'x'.repeat(20_000) }), malformed);
    await expectRefusedEarly('A'.repeat(50_000_000), malformed);
    await expectRefusedEarly('.'.repeat(50_000_000), malformed);
    expect(await codeOf(await signed({ filler: 'x'.repeat(8_000) }))).toBe('active');
  });

  test('with a deeply nested header is checked as usual', async () => {
    const nested = `{"alg":"RS256","kid":"k1","x":${'['.repeat(5_000)}${']'.repeat(5_000)}}`;
    expect(await codeOf(await signJws(pair, nested, { ...CLAIMS }))).toBe('active');
    await expectRefusedEarly(await signJws(otherPair, nested, CLAIMS), invalid);
    const broken = `{"alg":"RS256","kid":"k1","x":${'['.repeat(8_000)}`;
    await expectRefusedEarly(await signJws(pair, broken, CLAIMS), malformed);
  });

  test.each([
    '',
    ' ',
    'null',
    'true',
    '5',
    '"x"',
    '[]',
    '[{"alg":"RS256"}]',
    '{',
    '{} {}',
    '{"alg":"RS256",}',
    "{'a':1}",
  ])('whose header is not a JSON object is refused: %s', async (header) => {
    await expectRefusedEarly(await signJws(pair, header, CLAIMS), malformed);
  });

  test.each([
    '',
    ' ',
    'null',
    'true',
    '5',
    '"x"',
    '[]',
    '[{"sub":"alice"}]',
    '{',
    'It’s a dangerous business',
  ])('whose payload is not a JSON object is refused after the signature check: %s', async (payload) => {
    await expectRefusedEarly(await signJws(pair, HEADER, payload), malformed);
    await expectRefusedEarly(await signJws(otherPair, HEADER, payload), invalid);
  });

  test('that is not UTF-8 is refused', async () => {
    const json = (bytes: number[]) =>
      Buffer.concat([Buffer.from('{"alg":"RS256","kid":"k1","x":"'), Buffer.from(bytes), Buffer.from('"}')]);
    for (const bytes of [[0xff], [0xc3], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf5, 0x80, 0x80, 0x80]]) {
      await expectRefusedEarly(await signJws(pair, json(bytes), CLAIMS), malformed);
      await expectRefusedEarly(await signJws(pair, HEADER, json(bytes)), malformed);
    }
    const withMark = Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from(JSON.stringify(HEADER))]);
    await expectRefusedEarly(await signJws(pair, withMark, CLAIMS), malformed);
    const utf16 = Buffer.from(JSON.stringify(HEADER), 'utf16le');
    await expectRefusedEarly(await signJws(pair, utf16, CLAIMS), malformed);
  });

  test('with a duplicate member uses the last one, as JSON.parse does', async () => {
    expect(
      await codeOf(await signJws(pair, '{"alg":"none","kid":"k9","alg":"RS256","kid":"k1"}', CLAIMS)),
    ).toBe('active');
    await expectRefusedEarly(await signJws(pair, '{"alg":"RS256","kid":"k1","alg":"none"}', CLAIMS), alg);
    const payload = JSON.stringify(CLAIMS).replace('"sub":"alice"', '"sub":"root","sub":"alice"');
    const { verify, asked } = verifierWith();
    expect(await verify(await signJws(pair, HEADER, payload))).toMatchObject({ payload: { sub: 'alice' } });
    expect(asked.statusReader).toMatchObject([{ sub: 'alice' }]);
  });

  test.each([false, null, 'true', 0])('with b64 %j is refused (RFC 7797 §7)', async (b64) => {
    await expectRefusedEarly(await signed({}, { b64 }), malformed);
  });

  test.each([[['exp']], [['b64']], [[]], 'exp', null, {}, false, 0])(
    'with crit %j is refused',
    async (crit) => {
      await expectRefusedEarly(await signed({}, { crit, b64: false }), malformed);
    },
  );
});

describe('the Claims Set', () => {
  const cases: Array<[string, Record<string, unknown>, string]> = [
    ['an exp in the past', { exp: NOW - TOLERANCE }, 'ERR_TOKEN_EXPIRED'],
    ['an nbf in the future', { nbf: NOW + TOLERANCE + 1 }, 'ERR_TOKEN_NOT_YET_VALID'],
    ['an iat in the future', { iat: NOW + TOLERANCE + 1 }, 'ERR_TOKEN_NOT_YET_VALID'],
    ['another audience', { aud: 'admin' }, 'ERR_AUDIENCE_MISMATCH'],
    ['other audiences', { aud: ['admin', 'users', 'User', 'user '] }, 'ERR_AUDIENCE_MISMATCH'],
    ['no audience in an array', { aud: [] }, 'ERR_AUDIENCE_MISMATCH'],
    ['another issuer', { iss: 'jwtctl2' }, 'ERR_ISSUER_MISMATCH'],
    ['an issuer with an extra character', { iss: 'jwtctl/' }, 'ERR_ISSUER_MISMATCH'],
    ['an issuer in upper case', { iss: 'JWTCTL' }, 'ERR_ISSUER_MISMATCH'],
  ];
  test.each(cases)('with %s is refused', async (_name, claims, code) => {
    await expectRefusedEarly(await signed(claims), code);
  });

  test.each(['exp', 'iat', 'iss', 'aud', 'sub', 'jti'])('without %s is refused', async (claim) => {
    await expectRefusedEarly(await signed({ [claim]: undefined }), 'ERR_CLAIM_INVALID');
    await expectRefusedEarly(await signed({ [claim]: null }), 'ERR_CLAIM_INVALID');
  });

  const INVALID_DATES = ['1700000000', -1.5, -1, Number.MAX_SAFE_INTEGER + 1, 1e300, [NOW], {}, true, ''];
  test.each(['exp', 'iat', 'nbf'])(
    'with an %s that is not a NumericDate in seconds is refused',
    async (claim) => {
      for (const value of INVALID_DATES) {
        await expectRefusedEarly(await signed({ [claim]: value }), 'ERR_CLAIM_INVALID');
      }
      await expectRefusedEarly(await signed({ [claim]: null }), 'ERR_CLAIM_INVALID');
    },
  );

  test('with an exp that JSON reads as infinite is refused', async () => {
    const payload = JSON.stringify(CLAIMS).replace(`"exp":${CLAIMS.exp}`, '"exp":1e999');
    await expectRefusedEarly(await signJws(pair, HEADER, payload), 'ERR_CLAIM_INVALID');
  });

  const NO_SUBJECTS = [
    '',
    'a\u0000b',
    'a\nb',
    '\u007f',
    '\ud800',
    '\ufffd',
    'x'.repeat(256),
    'é'.repeat(128),
    5,
    ['alice'],
  ];
  test.each(['sub', 'jti'])('with an invalid %s is refused', async (claim) => {
    for (const value of NO_SUBJECTS) {
      await expectRefusedEarly(await signed({ [claim]: value }), 'ERR_CLAIM_INVALID');
    }
  });

  test('with an ill-typed iss or aud is refused', async () => {
    for (const value of [5, {}, true, ['jwtctl']]) {
      await expectRefusedEarly(await signed({ iss: value }), 'ERR_CLAIM_INVALID');
    }
    for (const value of [5, {}, true, [5], ['user', 5], [['user']]]) {
      await expectRefusedEarly(await signed({ aud: value }), 'ERR_CLAIM_INVALID');
    }
  });

  test('ignores claims in __proto__', async () => {
    const payload = `{"__proto__":${JSON.stringify(CLAIMS)}}`;
    await expectRefusedEarly(await signJws(pair, HEADER, payload), 'ERR_CLAIM_INVALID');
  });

  test('is checked against the time of the verification', async () => {
    const token = await signed();
    expect(await codeOf(token, { now: CLAIMS.exp + TOLERANCE - 1 })).toBe('active');
    expect(await codeOf(token, { now: CLAIMS.exp + TOLERANCE })).toBe('ERR_TOKEN_EXPIRED');
    expect(await codeOf(token, { now: CLAIMS.iat - TOLERANCE })).toBe('active');
    expect(await codeOf(token, { now: CLAIMS.iat - TOLERANCE - 1 })).toBe('ERR_TOKEN_NOT_YET_VALID');
  });

  test('expires at exp without a tolerance', async () => {
    const policy = { clockToleranceSeconds: 0 };
    expect(await codeOf(await signed({ exp: NOW + 1 }), { policy })).toBe('active');
    expect(await codeOf(await signed({ exp: NOW }), { policy })).toBe('ERR_TOKEN_EXPIRED');
  });
});

describe('the token status', () => {
  const entry = { kid: 'k1', iat: CLAIMS.iat, exp: CLAIMS.exp };
  const cases: Array<[string, Partial<TokenStatus>, string]> = [
    ['no entry in the registry', { entry: null }, 'ERR_TOKEN_NOT_REGISTERED'],
    ['an entry under another kid', { entry: { ...entry, kid: 'k2' } }, 'ERR_REGISTRATION_MISMATCH'],
    ['an entry with another iat', { entry: { ...entry, iat: entry.iat + 1 } }, 'ERR_REGISTRATION_MISMATCH'],
    ['an entry with another exp', { entry: { ...entry, exp: entry.exp - 1 } }, 'ERR_REGISTRATION_MISMATCH'],
    ['an event that covers it', { revoked: true }, 'ERR_TOKEN_REVOKED'],
    ['an event that covers it and no entry', { revoked: true, entry: null }, 'ERR_TOKEN_REVOKED'],
    ['a user that does not exist', { user: 'unknown' }, 'ERR_USER_UNKNOWN'],
    ['a user that is disabled', { user: 'disabled' }, 'ERR_USER_DISABLED'],
    ['no entry and a disabled user', { entry: null, user: 'disabled' }, 'ERR_TOKEN_NOT_REGISTERED'],
  ];
  test.each(cases)('with %s refuses', async (_name, tokenStatus, code) => {
    const result = await verifierWith({ tokenStatus }).verify(await signed());
    expect(result).toMatchObject({ active: false, error: { code }, reason: 'Authorization Failure' });
  });

  test('is an error if findStatus fails', async () => {
    const failure = new Error('the registry is down');
    const verifier = createVerifier({
      findKey: () => verificationKey(pair, { kid: 'k1' }),
      findStatus: () => Promise.reject(failure),
      policy: { issuer: 'jwtctl', audience: 'user', clockToleranceSeconds: TOLERANCE },
      now: () => NOW,
    });
    await expect(verifier.verify(await signed())).rejects.toBe(failure);
  });
});

describe('the order of the checks', () => {
  const expired = { exp: NOW - 100, aud: 'admin', iss: 'other', sub: 5 };

  test('the key state comes before alg and signature', async () => {
    const token = await signJws(otherPair, { ...HEADER, alg: 'RS512' }, expired, 'RS512');
    expect(await codeOf(token, { key: { state: 'compromised' } })).toBe('ERR_KEY_NOT_TRUSTED');
  });

  test('alg comes before the signature', async () => {
    const token = await signJws(otherPair, { ...HEADER, alg: 'RS512' }, expired, 'RS512');
    expect(await codeOf(token)).toBe('ERR_ALG_NOT_ALLOWED');
  });

  test('the signature comes before the claims', async () => {
    expect(await codeOf(await signJws(otherPair, HEADER, { ...CLAIMS, ...expired }))).toBe(
      'ERR_SIGNATURE_INVALID',
    );
  });

  test('the times come before iss, iss before aud, aud before sub and jti', async () => {
    expect(await codeOf(await signed(expired))).toBe('ERR_TOKEN_EXPIRED');
    expect(await codeOf(await signed({ ...expired, exp: CLAIMS.exp }))).toBe('ERR_ISSUER_MISMATCH');
    expect(await codeOf(await signed({ ...expired, exp: CLAIMS.exp, iss: 'jwtctl' }))).toBe(
      'ERR_AUDIENCE_MISMATCH',
    );
    expect(await codeOf(await signed({ sub: 5 }))).toBe('ERR_CLAIM_INVALID');
  });

  test('the claims come before the token status', async () => {
    await expectRefusedEarly(await signed({ exp: NOW - 100 }), 'ERR_TOKEN_EXPIRED', {
      tokenStatus: { revoked: true, entry: null, user: 'unknown' },
    });
  });

  test('a revocation comes before the entry, the entry before the user', async () => {
    const token = await signed();
    expect(await codeOf(token, { tokenStatus: { revoked: true, entry: null, user: 'unknown' } })).toBe(
      'ERR_TOKEN_REVOKED',
    );
    expect(await codeOf(token, { tokenStatus: { entry: null, user: 'unknown' } })).toBe(
      'ERR_TOKEN_NOT_REGISTERED',
    );
  });
});

describe('the reason of a refusal', () => {
  test('is one of three phrases', async () => {
    const reasonOf = async (token: string, setup: Setup = {}) => {
      const result = await verifierWith(setup).verify(token);
      return result.active ? null : result.reason;
    };
    expect(await reasonOf(await signed({ exp: NOW - 100 }))).toBe('Token Expired');
    expect(await reasonOf(await signed({ nbf: NOW + 100 }))).toBe('Invalid Token');
    expect(await reasonOf(await signed({ aud: 'admin' }))).toBe('Invalid Token');
    expect(await reasonOf('x')).toBe('Invalid Token');
    expect(await reasonOf(await signed(), { tokenStatus: { user: 'unknown' } })).toBe(
      'Authorization Failure',
    );
  });

  test('an unknown kid is shown escaped and shortened', async () => {
    for (const [kid, shown] of [
      ['bilbo.baggins@hobbiton.example', 'bilbo.baggins@hobbiton.example'],
      ['https://id.example/keys/1', 'https://id.example/keys/1'],
      ['\u202ek\u200b', '\\u202ek\\u200b'],
      ['x'.repeat(255), `${'x'.repeat(60)}…`],
    ]) {
      const result = await verifierWith().verify(await signed({}, { kid }));
      expect(result).toMatchObject({
        error: { code: 'ERR_KEY_UNKNOWN', message: `No key has the kid ${shown}.` },
      });
    }
  });

  test('no refusal shows the token or any of its claims', async () => {
    const secret = 'do-not-show-me';
    const claims = { sub: secret, jti: secret, iss: secret, aud: secret };
    const tokens = [
      await signed({ ...claims, sub: `${secret}\n` }),
      await signed({ iss: secret }),
      await signed({ aud: secret }),
      await signed({ sub: `${secret}\u0000` }),
      await signed({ jti: `${secret}\u0000` }),
      await signed({}, { alg: secret }),
      `${secret}.${secret}.${secret}!`,
    ];
    for (const token of tokens) {
      const result = await verifierWith().verify(token);
      expect(result.active).toBe(false);
      expect(JSON.stringify(result)).not.toContain(secret);
    }
    const refused = await verifierWith({ tokenStatus: { revoked: true } }).verify(await signed(claims));
    expect(JSON.stringify(refused)).not.toContain(secret);
  });
});

test('uses the host clock by default', async () => {
  const now = Math.floor(Date.now() / 1000);
  const verifier = createVerifier({
    findKey: () => verificationKey(pair, { kid: 'k1' }),
    findStatus: ({ kid, iat, exp }) => ({ entry: { kid, iat, exp }, user: 'enabled', revoked: false }),
    policy: { issuer: 'jwtctl', audience: 'user', clockToleranceSeconds: TOLERANCE },
  });
  expect(await verifier.verify(await signed({ iat: now, exp: now + 600 }))).toMatchObject({ active: true });
  expect(await verifier.verify(await signed({ iat: now - 900, exp: now - 600 }))).toMatchObject({
    error: { code: 'ERR_TOKEN_EXPIRED' },
  });
});
