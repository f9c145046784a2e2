import { createHash, generateKeyPairSync, type JsonWebKey } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { rsaKeyFault } from '../../src/domain/jose/verification-key.js';
import { JwtctlError } from '../../src/domain/shared/errors.js';
import { createVerifier } from '../../src/verifier/create-verifier.js';
import { rocaPrime } from '../support/roca.js';
import { encodePart, rsaPair, signJws } from '../support/signing.js';

const NOW = 1_700_000_000;
const CLAIMS = { iss: 'jwtctl', sub: 'alice', aud: 'user', iat: NOW - 60, exp: NOW + 3600, jti: 'j1' };
const EXPIRED = { ...CLAIMS, iat: NOW - 90_000, exp: NOW - 86_400 };
const HEADER = { alg: 'RS256', typ: 'JWT', kid: 'k1' };

const pair = rsaPair();
const jwk = publicJwk(pair.publicKey);
const token = await signJws(pair, HEADER, CLAIMS);
const expired = await signJws(pair, HEADER, EXPIRED);

/** Values that a JavaScript program may pass by mistake, and that no check may accept. */
const HOSTILE: unknown[] = [
  ...[undefined, null, true, false, 0, -0, 1, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 1e300, 10n],
  ...['', ' ', '0', '5', 'null', 'enabled ', 'Enabled', 'ENABLED', 'active', 'true', 'x'],
  ...[[], [0], ['enabled'], {}, { valueOf: () => 5 }, { toString: () => 'enabled' }, new Date(0)],
  ...[() => 'enabled', Symbol('x'), new String('enabled'), new Boolean(false), new Number(5)],
  Promise.resolve(5),
];

function publicJwk(key: { export(options: { format: 'jwk' }): JsonWebKey }): Record<string, unknown> {
  return { ...key.export({ format: 'jwk' }) };
}

interface Parts {
  key?: unknown;
  jwk?: unknown;
  status?: unknown;
  user?: unknown;
  revoked?: unknown;
  entry?: unknown;
  policy?: Record<string, unknown>;
  now?: unknown;
}

/** Checks for the member itself, because `undefined` is a value like any other. */
const or = (parts: Parts, name: keyof Parts, otherwise: unknown) =>
  Object.hasOwn(parts, name) ? parts[name] : otherwise;

function optionsWith(parts: Parts = {}) {
  const now = or(parts, 'now', NOW);
  return {
    findKey: (kid: string) =>
      or(parts, 'key', { kid, alg: 'RS256', state: 'active', jwk: or(parts, 'jwk', jwk) }),
    findStatus: ({ kid, iat, exp }: { kid: string; iat: number; exp: number }) =>
      or(parts, 'status', {
        entry: or(parts, 'entry', { kid, iat, exp }),
        user: or(parts, 'user', 'enabled'),
        revoked: or(parts, 'revoked', false),
      }),
    policy: { issuer: 'jwtctl', audience: 'user', clockToleranceSeconds: 5, ...parts.policy },
    now: () => now,
  };
}

function create(options: unknown) {
  return createVerifier(options as Parameters<typeof createVerifier>[0]);
}

/** Returns `active`, or the code of a refusal or JwtctlError. Any other error fails the test. */
async function outcomeOf(parts: Parts, candidate = token): Promise<string> {
  try {
    const result = await create(optionsWith(parts)).verify(candidate);
    return result.active ? 'active' : result.error.code;
  } catch (error) {
    if (!(error instanceof JwtctlError)) throw error;
    return error.code;
  }
}

const show = (value: unknown) => (typeof value === 'object' ? JSON.stringify(value) : String(value));

test('accepts only the types of policy.acceptTypes', async () => {
  const typed = await signJws(pair, { ...HEADER, typ: 'dpop+jwt' }, CLAIMS);
  expect(await outcomeOf({}, typed)).toBe('ERR_TOKEN_TYPE_REFUSED');
  const policy = { acceptTypes: ['application/DPoP+JWT'] };
  expect(await outcomeOf({ policy }, typed)).toBe('active');
  expect(await outcomeOf({ policy }, token)).toBe('ERR_TOKEN_TYPE_REFUSED');
  for (const acceptTypes of [[], [''], 'JWT', [3], null])
    expect(await outcomeOf({ policy: { acceptTypes } })).toBe('ERR_OPTION_INVALID');
});

test('accepts the unmodified token', async () => {
  expect(await outcomeOf({})).toBe('active');
});

describe('the options', () => {
  test.each(['findKey', 'findStatus', 'policy'])('refuses to start without a usable %s', (name) => {
    for (const value of HOSTILE) {
      if (name !== 'policy' && typeof value === 'function') continue;
      expect(() => create({ ...optionsWith(), [name]: value }), show(value)).toThrow(
        expect.objectContaining({ kind: 'usage', code: 'ERR_OPTION_INVALID' }),
      );
    }
  });

  test.each(['issuer', 'audience'])('refuses to start unless policy.%s is a string', (name) => {
    for (const value of HOSTILE) {
      const policy = { ...optionsWith().policy, [name]: value };
      if (typeof value === 'string' && value !== '')
        expect(() => create(optionsWith({ policy }))).not.toThrow();
      else expect(() => create(optionsWith({ policy })), show(value)).toThrow(JwtctlError);
    }
  });

  test('refuses to start unless the clock tolerance is an integer from 0 to a day', () => {
    const refused = HOSTILE.filter((value) => ![undefined, 0, 1].includes(value as number));
    for (const value of [...refused, 86_401, Number.MAX_SAFE_INTEGER]) {
      const start = () => create(optionsWith({ policy: { clockToleranceSeconds: value } }));
      expect(start, show(value)).toThrow(expect.objectContaining({ code: 'ERR_OPTION_INVALID' }));
    }
  });

  test('uses a clock tolerance of 5 s by default', async () => {
    const policy = { clockToleranceSeconds: undefined };
    expect(await outcomeOf({ policy }, expired)).toBe('ERR_TOKEN_EXPIRED');
    expect(await outcomeOf({ policy, now: CLAIMS.exp + 4 })).toBe('active');
    expect(await outcomeOf({ policy, now: CLAIMS.exp + 5 })).toBe('ERR_TOKEN_EXPIRED');
  });

  test('refuses to start without any options', () => {
    for (const value of HOSTILE) expect(() => create(value), show(value)).toThrow(JwtctlError);
  });

  test('refuses a now that is not a function, and uses the host clock by default', async () => {
    for (const value of HOSTILE.filter((one) => one !== undefined && typeof one !== 'function')) {
      expect(() => create({ ...optionsWith(), now: value }), show(value)).toThrow(JwtctlError);
    }
    const { verify } = create({ ...optionsWith(), now: undefined });
    expect(await verify(token)).toMatchObject({ error: { code: 'ERR_TOKEN_EXPIRED' } });
  });

  test('keeps the given policy if the caller changes it later', async () => {
    const options = optionsWith();
    const { verify } = create(options);
    options.policy.clockToleranceSeconds = Number.NaN;
    options.policy.audience = 'admin';
    expect(await verify(expired)).toMatchObject({ error: { code: 'ERR_TOKEN_EXPIRED' } });
    expect(await verify(token)).toMatchObject({ active: true });
  });
});

describe('the time', () => {
  test('must be an integer', async () => {
    for (const value of HOSTILE) {
      const expected = [0, 1].includes(value as number) ? 'ERR_TOKEN_NOT_YET_VALID' : 'ERR_CALLBACK_INVALID';
      expect(await outcomeOf({ now: value }), show(value)).toBe(expected);
      expect(await outcomeOf({ now: value }, expired), show(value)).toBe(expected);
    }
  });
});

describe('the status', () => {
  test("accepts the user 'enabled' and nothing else", async () => {
    for (const user of HOSTILE) expect(await outcomeOf({ user }), show(user)).toMatch(/^ERR_USER_/);
    for (const user of ['Disabled', 'blocked', 'suspended']) {
      expect(await outcomeOf({ user }), user).toBe('ERR_USER_DISABLED');
    }
  });

  test('accepts `revoked: false` and nothing else', async () => {
    for (const revoked of HOSTILE.filter((one) => one !== false)) {
      expect(await outcomeOf({ revoked }), show(revoked)).toBe('ERR_TOKEN_REVOKED');
    }
  });

  test('accepts an entry with the right kid, iat, and exp, and nothing else', async () => {
    const { iat, exp } = CLAIMS;
    for (const value of HOSTILE) {
      expect(await outcomeOf({ entry: value }), show(value)).toMatch(/^ERR_(TOKEN_NOT_REG|REGISTR)/);
      for (const entry of [
        { kid: value, iat, exp },
        { kid: 'k1', iat: value, exp },
        { kid: 'k1', iat, exp: value },
      ])
        expect(await outcomeOf({ entry }), show(value)).toBe('ERR_REGISTRATION_MISMATCH');
    }
  });

  test('is an error of findStatus if it is not an object', async () => {
    for (const status of HOSTILE) {
      const outcome = await outcomeOf({ status });
      expect(outcome, show(status)).not.toBe('active');
      if (typeof status !== 'object' || status === null) expect(outcome).toBe('ERR_CALLBACK_INVALID');
    }
  });
});

describe('the key', () => {
  test('is unknown if findKey returns null or undefined, and refused if it returns anything but a key', async () => {
    for (const key of [null, undefined]) expect(await outcomeOf({ key })).toBe('ERR_KEY_UNKNOWN');
    for (const key of HOSTILE.filter((one) => one != null)) {
      expect(await outcomeOf({ key }), show(key)).toMatch(/^ERR_KEY_/);
    }
  });

  test.each(['kid', 'alg', 'state', 'jwk'])('is refused with any other value as its %s', async (member) => {
    for (const value of HOSTILE) {
      const key = { kid: 'k1', alg: 'RS256', state: 'active', jwk, [member]: value };
      // The state 'active' is valid.
      if (member === 'state' && value === 'active') continue;
      expect(await outcomeOf({ key }), show(value)).toMatch(/^ERR_(KEY|ALG)_/);
    }
  });

  test.each(['kty', 'n', 'e'])('is refused with any other value as the %s of its JWK', async (member) => {
    for (const value of HOSTILE) {
      const outcome = await outcomeOf({ jwk: { ...jwk, [member]: value } });
      // A string may be valid base64url of an odd and large enough exponent, of a different key.
      const isExponent = member === 'e' && typeof value === 'string';
      expect(outcome, show(value)).toMatch(
        isExponent ? /^ERR_(KEY_NOT_TRUSTED|SIGNATURE_INVALID)$/ : /^ERR_KEY_NOT_TRUSTED$/,
      );
    }
  });

  const CONTRADICTIONS = {
    kid: ['k2', '', null, 1],
    use: ['enc', '', null, 'SIG'],
    alg: ['RS512', 'RSA-OAEP', '', null],
    key_ops: ['verify', [], ['sign'], ['encrypt'], null, { 0: 'verify' }],
  };
  test.each(Object.entries(CONTRADICTIONS))('is refused with a contradicting %s', async (member, values) => {
    for (const value of values) {
      expect(await outcomeOf({ jwk: { ...jwk, [member]: value } }), show(value)).toBe('ERR_KEY_NOT_TRUSTED');
    }
  });

  test('may state its kid, use, alg, and key_ops', async () => {
    const stated = { ...jwk, kid: 'k1', use: 'sig', alg: 'RS256', key_ops: ['verify'] };
    expect(await outcomeOf({ jwk: stated })).toBe('active');
  });

  test('with a different kid than requested is refused', async () => {
    const key = { kid: 'k2', alg: 'RS256', state: 'active', jwk };
    expect(await outcomeOf({ key })).toBe('ERR_KEY_UNKNOWN');
  });

  test.each([512, 1024, 2047])('of %i bits is refused although its signature is right', async (bits) => {
    const weak = rsaPair(bits);
    const signed = await signJws(weak, HEADER, CLAIMS);
    expect(await outcomeOf({ jwk: publicJwk(weak.publicKey) }, signed)).toBe('ERR_KEY_NOT_TRUSTED');
  });

  test('with the exponent 1 is refused, because anyone can forge its signatures', async () => {
    const signingInput = `${encodePart(HEADER)}.${encodePart(CLAIMS)}`;
    const digestInfo = Buffer.from('3031300d060960864801650304020105000420', 'hex');
    const tail = Buffer.concat([digestInfo, createHash('sha256').update(signingInput).digest()]);
    const padding = Buffer.alloc(256 - 3 - tail.length, 0xff);
    const forged = Buffer.concat([Buffer.from([0, 1]), padding, Buffer.from([0]), tail]);
    const one = { ...jwk, e: Buffer.from([1]).toString('base64url') };
    expect(await outcomeOf({ jwk: one }, `${signingInput}.${forged.toString('base64url')}`)).toBe(
      'ERR_KEY_NOT_TRUSTED',
    );
  });

  test.each([3, 17, 65_535])('with the exponent %i is refused', async (publicExponent) => {
    if (publicExponent === 65_535) {
      expect(rsaKeyFault(2n ** 2047n + 1n, BigInt(publicExponent))).not.toBeNull();
      return;
    }
    const weak = generateKeyPairSync('rsa', { modulusLength: 2048, publicExponent });
    const signed = await signJws(weak, HEADER, CLAIMS);
    expect(await outcomeOf({ jwk: publicJwk(weak.publicKey) }, signed)).toBe('ERR_KEY_NOT_TRUSTED');
  });

  test('with an even exponent or an even or huge modulus is refused', () => {
    const n = 2n ** 2047n + 1n;
    expect(rsaKeyFault(n, 65_537n)).toBeNull();
    expect(rsaKeyFault(n, 65_538n)).toMatch(/exponent/);
    expect(rsaKeyFault(n, 2n ** 64n + 1n)).toMatch(/exponent/);
    expect(rsaKeyFault(n - 1n, 65_537n)).toMatch(/modulus/);
    expect(rsaKeyFault(2n ** 16_384n + 1n, 65_537n)).toMatch(/modulus/);
  });

  test('of another type is refused', async () => {
    for (const other of [
      generateKeyPairSync('ec', { namedCurve: 'P-256' }),
      generateKeyPairSync('ed25519'),
    ]) {
      expect(await outcomeOf({ jwk: publicJwk(other.publicKey) })).toBe('ERR_KEY_NOT_TRUSTED');
    }
  });

  test('that was replaced on the same object no longer accepts tokens of the old one', async () => {
    const key = { kid: 'k1', alg: 'RS256', state: 'active', jwk: { ...jwk } };
    const { verify } = create({ ...optionsWith(), findKey: () => key });
    expect(await verify(token)).toMatchObject({ active: true });
    Object.assign(key.jwk, publicJwk(rsaPair().publicKey));
    expect(await verify(token)).toMatchObject({ error: { code: 'ERR_SIGNATURE_INVALID' } });
    key.jwk = { ...jwk, e: 'AQ' };
    expect(await verify(token)).toMatchObject({ error: { code: 'ERR_KEY_NOT_TRUSTED' } });
    key.jwk = jwk;
    expect(await verify(token)).toMatchObject({ active: true });
  });
});

describe('the kid', () => {
  const ANY = ['a b', '../k1', '_k1', '-k1', 'ключ', '{k1}', "k1' or 1=1", 'k'.repeat(255), 'urn:x:y#1'];
  test.each(ANY)('may be any kid of an external key: %s', async (kid) => {
    const asked: string[] = [];
    const options = optionsWith();
    const findKey = (wanted: string) => {
      asked.push(wanted);
      return options.findKey(wanted);
    };
    const signed = await signJws(pair, { ...HEADER, kid }, CLAIMS);
    expect(await create({ ...options, findKey }).verify(signed)).toMatchObject({ active: true });
    expect(asked).toEqual([kid]);
  });
});

describe('CVE-2017-15361 (ROCA)', () => {
  test('a modulus of two primes from the faulty generator is refused', () => {
    expect(rsaKeyFault(rocaPrime() * rocaPrime(), 65_537n)).toMatch(/ROCA/);
  });

  test('no other modulus is refused', () => {
    for (let count = 0; count < 5; count++)
      expect(rsaKeyFault(modulusOf(rsaPair().publicKey), 65_537n)).toBeNull();
    // The product of a faulty prime and a good one has no fingerprint.
    const [good] = [2n ** 1023n + 1155n];
    expect(rsaKeyFault(rocaPrime() * (good as bigint) * 2n + 1n, 65_537n)).toBeNull();
  });
});

function modulusOf(key: { export(options: { format: 'jwk' }): JsonWebKey }): bigint {
  return BigInt(`0x${Buffer.from(String(publicJwk(key).n), 'base64url').toString('hex')}`);
}

describe('with members on Object.prototype', () => {
  const entry = { kid: 'k1', iat: CLAIMS.iat, exp: CLAIMS.exp };
  const key = { kid: 'k1', alg: 'RS256', state: 'active', jwk };

  async function pollutedOutcome(members: Record<string, unknown>, parts: Parts): Promise<string> {
    const verifier = create(optionsWith(parts));
    for (const [name, value] of Object.entries(members))
      Object.defineProperty(Object.prototype, name, { value, configurable: true });
    try {
      const result = await verifier.verify(token);
      return result.active ? 'active' : result.error.code;
    } finally {
      for (const name of Object.keys(members)) Reflect.deleteProperty(Object.prototype, name);
    }
  }

  test.each([
    ['revoked', false, { status: { entry, user: 'enabled' } }, 'ERR_TOKEN_REVOKED'],
    ['user', 'enabled', { status: { entry, revoked: false } }, 'ERR_USER_UNKNOWN'],
    ['entry', entry, { status: { user: 'enabled', revoked: false } }, 'ERR_TOKEN_NOT_REGISTERED'],
    ['exp', CLAIMS.exp, { entry: { kid: 'k1', iat: CLAIMS.iat } }, 'ERR_REGISTRATION_MISMATCH'],
    ['state', 'active', { key: { kid: 'k1', alg: 'RS256', jwk } }, 'ERR_KEY_NOT_TRUSTED'],
    ['jwk', jwk, { key: { kid: 'k1', alg: 'RS256', state: 'active' } }, 'ERR_KEY_NOT_TRUSTED'],
    ['kty', 'RSA', { jwk: { n: jwk.n, e: jwk.e } }, 'ERR_KEY_NOT_TRUSTED'],
  ])('refuses an answer that lacks %s', async (name, value, parts: Parts, code) => {
    expect(await pollutedOutcome({ [name]: value }, parts)).toBe(code);
  });

  test('accepts complete answers, and ignores an optional member', async () => {
    expect(await pollutedOutcome({ use: 'enc', revoked: true, state: 'retired' }, {})).toBe('active');
  });

  test('accepts instances whose class has getters', async () => {
    class Row {
      readonly #members: Record<string, unknown>;
      constructor(members: Record<string, unknown>) {
        this.#members = members;
      }
      get kid() {
        return this.#members.kid;
      }
      get iat() {
        return this.#members.iat;
      }
      get exp() {
        return this.#members.exp;
      }
      get alg() {
        return this.#members.alg;
      }
      get state() {
        return this.#members.state;
      }
      get jwk() {
        return this.#members.jwk;
      }
      get entry() {
        return this.#members.entry;
      }
      get user() {
        return this.#members.user;
      }
      get revoked() {
        return this.#members.revoked;
      }
    }
    class SubRow extends Row {}
    const status = new SubRow({ entry: new Row(entry), user: 'enabled', revoked: false });
    expect(await outcomeOf({ key: new SubRow(key), status })).toBe('active');
    const nullPrototype = Object.assign(Object.create(null), { entry, user: 'enabled', revoked: false });
    expect(await outcomeOf({ status: nullPrototype })).toBe('active');
  });
});
