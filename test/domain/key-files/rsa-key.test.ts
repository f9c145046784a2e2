import {
  checkPrimeSync,
  createPublicKey,
  generateKeyPairSync,
  generatePrimeSync,
  randomBytes,
  sign,
} from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { readKeys } from '../../../src/domain/key-files/read-keys.js';
import { type KeyInFile, MAX_KEY_FILE_BYTES } from '../../../src/domain/key-files/rsa-key.js';
import { JwtctlError } from '../../../src/domain/shared/errors.js';
import { temporaryFolder } from '../../support/cli.js';
import {
  encryptedOf,
  freshJwk,
  freshPair,
  inverse,
  jwkFromNumbers,
  jwkWithExponent,
  keyOf,
  numbersOf,
  openssl,
  type PrivateJwk,
  pairFrom,
  pemOf,
  pkcs1Der,
  pkcs1Of,
  pkcs8Of,
  RSA_MEMBERS,
  secretsOf,
  thumbprintOf,
  toMember,
  toNumber,
  writeKeyFile,
} from '../../support/private-keys.js';
import { rocaPrime } from '../../support/roca.js';
import { RFC7515_A2 } from '../../vectors/rfc-vectors.js';
import { RSA_8192 } from '../../vectors/rsa-8192.js';

const PASSPHRASE = 'correct horse';
const ask = async () => PASSPHRASE;
const neverAsk = async (): Promise<string> => {
  throw new Error('The passphrase must not be asked for.');
};

async function readPem(text: string, askPassphrase = neverAsk, name = 'key.pem') {
  const [key] = (await readKeys(text, { name, wanted: 'private', form: 'pem', askPassphrase })).keys;
  return key as KeyInFile;
}
const readJwkText = (text: string, name = 'jwks.json') =>
  readKeys(text, { name, wanted: 'private', form: 'jwk', askPassphrase: neverAsk });
const readJwks = (document: unknown) => readJwkText(JSON.stringify(document));
const readJwk = async (jwk: unknown) => (await readJwks(jwk)).keys[0];

let jwk: PrivateJwk;
let other: PrivateJwk;

beforeAll(() => {
  jwk = freshJwk();
  other = freshJwk();
});

/** Expects a usage error without secrets, and returns it. */
async function refusal(reading: Promise<unknown>): Promise<JwtctlError> {
  const error = await reading.then(
    () => new Error('Not refused.'),
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(JwtctlError);
  const refused = error as JwtctlError;
  expect(refused.kind).toBe('usage');
  expect(refused.cause).toBeUndefined();
  const shown = `${refused.message} ${refused.hint} ${JSON.stringify(refused.details)}`;
  for (const secret of secretsOf(jwk, other)) expect(shown).not.toContain(secret);
  expect(shown).not.toContain(PASSPHRASE);
  expect(shown).not.toMatch(/error:|routines|ASN\.?1|undefined is|\n\s+at /i);
  return refused;
}

const codeOf = async (reading: Promise<unknown>) => (await refusal(reading)).code;

describe('reading a PEM file', () => {
  test.each(['pkcs8', 'pkcs1'] as const)('accepts %s, encrypted or not', async (type) => {
    const plain = (type === 'pkcs8' ? pkcs8Of : pkcs1Of)(keyOf(jwk));
    const expected = {
      bits: 2048,
      thumbprint: thumbprintOf(jwk),
      kid: null,
      alg: null,
      what: 'The key in key.pem',
      publicKey: createPublicKey(keyOf(jwk)).export({ type: 'spki', format: 'pem' }),
    };
    const read = await readPem(plain);
    expect(read).toMatchObject(expected);
    expect(Buffer.from(read.pkcs8 ?? [])).toEqual(keyOf(jwk).export({ type: 'pkcs8', format: 'der' }));
    expect(await readPem(encryptedOf(keyOf(jwk), type, PASSPHRASE), ask)).toEqual(read);
  });

  test('accepts files written by the openssl program', async () => {
    const folder = temporaryFolder();
    writeKeyFile(folder, 'key.pem', pkcs8Of(keyOf(jwk)));
    const pass = ['-passout', `pass:${PASSPHRASE}`];
    for (const words of [
      ['pkcs8', '-topk8', '-v2', 'aes-256-cbc', '-in', 'key.pem', ...pass],
      ['pkcs8', '-topk8', '-scrypt', '-in', 'key.pem', ...pass],
      ['rsa', '-aes256', '-traditional', '-in', 'key.pem', ...pass],
      ['rsa', '-traditional', '-in', 'key.pem'],
      ['pkcs8', '-topk8', '-nocrypt', '-in', 'key.pem'],
    ]) {
      const text = await openssl(folder, ...words);
      expect({ words, thumbprint: (await readPem(text, ask)).thumbprint }).toEqual({
        words,
        thumbprint: thumbprintOf(jwk),
      });
    }
    expect((await readPem(await openssl(folder, 'genrsa', '-traditional', '3072'))).bits).toBe(3072);
  });

  test('accepts other line endings, and text and certificates around the key', async () => {
    const plain = pkcs8Of(keyOf(jwk));
    const certificate = pemOf(randomBytes(90), 'CERTIFICATE');
    for (const text of [
      plain.replaceAll('\n', '\r\n'),
      `Bag Attributes\n  friendlyName: x\n${plain}\n${certificate}${certificate}`,
      plain.trimEnd(),
    ]) {
      expect((await readPem(text)).thumbprint).toBe(thumbprintOf(jwk));
    }
  });

  test('refuses a wrong passphrase without showing it', async () => {
    for (const type of ['pkcs8', 'pkcs1'] as const) {
      const text = encryptedOf(keyOf(jwk), type, 'another one');
      for (const passphrase of [PASSPHRASE, '', ' another one', 'x'.repeat(2_000)]) {
        expect(await codeOf(readPem(text, async () => passphrase))).toBe('ERR_PASSPHRASE_WRONG');
      }
    }
  });

  test('distinguishes an outdated cipher from a wrong passphrase', async () => {
    const folder = temporaryFolder();
    writeKeyFile(folder, 'key.pem', pkcs8Of(keyOf(jwk)));
    const words = ['-v1', 'PBE-MD5-DES', '-in', 'key.pem', '-passout', `pass:${PASSPHRASE}`];
    const providers = ['-provider', 'legacy', '-provider', 'default'];
    const text = await openssl(folder, 'pkcs8', '-topk8', ...words, ...providers);
    expect(await codeOf(readPem(text, ask))).toBe('ERR_PEM_UNSUPPORTED');
  });

  test.each([
    ['nothing', '', 'ERR_PEM_INVALID'],
    ['text', 'BEGIN PRIVATE KEY', 'ERR_PEM_INVALID'],
    ['a JWK', '{"kty":"RSA"}', 'ERR_PEM_INVALID'],
    ['an empty block', '-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n', 'ERR_PEM_INVALID'],
    ['no base64', '-----BEGIN PRIVATE KEY-----\n%%%%\n-----END PRIVATE KEY-----\n', 'ERR_PEM_INVALID'],
    ['other bytes', pemOf(randomBytes(1_200), 'PRIVATE KEY'), 'ERR_PEM_INVALID'],
    ['another end', '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----', 'ERR_PEM_INVALID'],
    ['a certificate', pemOf(randomBytes(1_200), 'CERTIFICATE'), 'ERR_KEY_NOT_PRIVATE'],
  ])('refuses %s', async (_what, text, code) => {
    expect(await codeOf(readPem(text))).toBe(code);
  });

  test('refuses a public key', async () => {
    const publicKey = createPublicKey(keyOf(jwk));
    for (const type of ['spki', 'pkcs1'] as const) {
      const text = publicKey.export({ type, format: 'pem' }).toString();
      expect(await codeOf(readPem(text))).toBe('ERR_KEY_NOT_PRIVATE');
    }
  });

  test('refuses two private keys', async () => {
    const text = pkcs8Of(keyOf(jwk)) + pkcs1Of(keyOf(other));
    const { code, message } = await refusal(readPem(text));
    expect([code, message]).toEqual(['ERR_PEM_MANY_KEYS', expect.stringContaining('2 private keys')]);
  });

  test('refuses a key that is not a general RSA key', async () => {
    const pkcs8 = { type: 'pkcs8', format: 'pem' } as const;
    const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
    const pss = generateKeyPairSync('rsa-pss', { modulusLength: 2048 }).privateKey;
    for (const text of [
      ec.export(pkcs8),
      ec.export({ type: 'sec1', format: 'pem' }),
      generateKeyPairSync('ed25519').privateKey.export(pkcs8),
      generateKeyPairSync('x25519').privateKey.export(pkcs8),
      pss.export(pkcs8),
    ]) {
      expect(await codeOf(readPem(String(text)))).toBe('ERR_KEY_NOT_RSA');
    }
    const encrypted = ec.export({ ...pkcs8, cipher: 'aes-256-cbc', passphrase: PASSPHRASE }).toString();
    expect(await codeOf(readPem(encrypted, ask))).toBe('ERR_KEY_NOT_RSA');
  });

  test('refuses the OpenSSH format and shows the command to convert it', async () => {
    const { code, hint } = await refusal(readPem(pemOf(randomBytes(1_200), 'OPENSSH PRIVATE KEY')));
    expect([code, hint]).toEqual(['ERR_PEM_UNSUPPORTED', expect.stringContaining('ssh-keygen -p -m PKCS8')]);
  });

  test('refuses a key with more than two primes', async () => {
    const text = await openssl(temporaryFolder(), 'genrsa', '-primes', '3', '2048');
    expect(await codeOf(readPem(text))).toBe('ERR_KEY_MULTI_PRIME');
  });

  // Both keys have the same exponent.
  test.each(RSA_MEMBERS.filter((member) => member !== 'e'))(
    'refuses a key with the %s of another key',
    async (member) => {
      const integers = integersOf({ ...numbersOf(jwk), [member]: numbersOf(other)[member] });
      expect(await codeOf(readPem(pemOf(pkcs1Der(integers), 'RSA PRIVATE KEY')))).toBe(
        'ERR_KEY_INCONSISTENT',
      );
    },
  );

  test('refuses numbers that are zero, negative, or huge', async () => {
    const absurd = [Buffer.alloc(0), Buffer.from([0]), Buffer.from([0xff]), Buffer.alloc(60_000, 0x7f)];
    for (let index = 1; index <= RSA_MEMBERS.length; index++) {
      for (const bytes of absurd) {
        const integers = integersOf(numbersOf(jwk));
        integers[index] = bytes;
        await refusal(readPem(pemOf(pkcs1Der(integers), 'RSA PRIVATE KEY')));
      }
    }
  });
});

/** Version 0 and the eight numbers in the order of PKCS#1, which is the order of the JWK's members. */
function integersOf(numbers: ReturnType<typeof numbersOf>): Buffer[] {
  const positive = (number: bigint) =>
    Buffer.concat([Buffer.from([0]), Buffer.from(toMember(number), 'base64url')]);
  return [Buffer.from([0]), ...RSA_MEMBERS.map((name) => positive(numbers[name]))];
}

describe('reading a JWK', () => {
  test('keeps its kid and alg', async () => {
    const read = await readJwk({ ...jwk, kid: 'k1', alg: 'PS384', use: 'sig', key_ops: ['sign'], ext: true });
    expect(read).toMatchObject({ kid: 'k1', alg: 'PS384', thumbprint: thumbprintOf(jwk), bits: 2048 });
    expect(Buffer.from(read?.pkcs8 ?? [])).toEqual(keyOf(jwk).export({ type: 'pkcs8', format: 'der' }));
    expect(await readJwk(jwk)).toMatchObject({ kid: null, alg: null });
  });

  test('makes the signature of RFC 7515 A.2 with the key printed there', async () => {
    const read = await readJwk(RFC7515_A2.privateJwk);
    const [header, payload, signature] = RFC7515_A2.jws.split('.');
    const key = { key: Buffer.from(read?.pkcs8 ?? []), format: 'der', type: 'pkcs8' } as const;
    expect(sign('sha256', Buffer.from(`${header}.${payload}`), key).toString('base64url')).toBe(signature);
  });

  test('ignores leading zeros in a number', async () => {
    const n = Buffer.concat([Buffer.alloc(3), Buffer.from(jwk.n, 'base64url')]).toString('base64url');
    expect(await readJwk({ ...jwk, n })).toMatchObject({ thumbprint: thumbprintOf(jwk), bits: 2048 });
  });

  test.each([
    ['1', 'ERR_JWK_INVALID'],
    ['null', 'ERR_JWK_INVALID'],
    ['[]', 'ERR_JWK_INVALID'],
    ['', 'ERR_JWK_INVALID'],
    ['{', 'ERR_JWK_INVALID'],
    ['{}', 'ERR_JWK_INVALID'],
    ['{"kty":1}', 'ERR_JWK_INVALID'],
    ['{"kty":"oct","k":"AAAA"}', 'ERR_KEY_NOT_RSA'],
    ['{"kty":"EC","crv":"P-256","d":"AA"}', 'ERR_KEY_NOT_RSA'],
    ['{"kty":"OKP","crv":"Ed25519","d":"AA"}', 'ERR_KEY_NOT_RSA'],
    ['{"keys":[]}', 'ERR_JWK_INVALID'],
    ['{"keys":{}}', 'ERR_JWK_INVALID'],
    ['{"keys":null}', 'ERR_JWK_INVALID'],
    ['{"keys":[1]}', 'ERR_JWK_INVALID'],
  ])('refuses %s', async (text, code) => {
    expect(await codeOf(readJwkText(text))).toBe(code);
  });

  test('refuses deeply nested arrays', async () => {
    const deep = `${'['.repeat(300_000)}${']'.repeat(300_000)}`;
    for (const text of [deep, deep.slice(0, 300_000), `{"keys":[${deep}]}`, `{"kty":"RSA","d":${deep}}`]) {
      expect(await codeOf(readJwkText(text))).toMatch(/^ERR_JWK_/);
    }
  });

  test('refuses a PEM file', async () => {
    expect(await codeOf(readJwkText(pkcs8Of(keyOf(jwk))))).toBe('ERR_JWK_INVALID');
  });

  test.each([
    [{ use: 'enc' }, 'ERR_KEY_NOT_FOR_SIGNING'],
    [{ use: '' }, 'ERR_KEY_NOT_FOR_SIGNING'],
    [{ key_ops: ['verify'] }, 'ERR_KEY_NOT_FOR_SIGNING'],
    [{ use: 'sig', key_ops: ['decrypt'] }, 'ERR_KEY_NOT_FOR_SIGNING'],
    [{ alg: 'RSA-OAEP' }, 'ERR_KEY_NOT_FOR_SIGNING'],
    [{ alg: 'none' }, 'ERR_KEY_NOT_FOR_SIGNING'],
    [{ alg: 7 }, 'ERR_KEY_NOT_FOR_SIGNING'],
    [{ use: 1 }, 'ERR_JWK_INVALID'],
    [{ key_ops: 'sign' }, 'ERR_JWK_INVALID'],
    [{ key_ops: [1] }, 'ERR_JWK_INVALID'],
    [{ kid: 1 }, 'ERR_JWK_INVALID'],
    [{ n: 1 }, 'ERR_JWK_INVALID'],
    [{ d: '' }, 'ERR_JWK_INVALID'],
    [{ p: 'a b' }, 'ERR_JWK_INVALID'],
    [{ q: 'AAAAA' }, 'ERR_JWK_INVALID'],
    [{ e: 'AQAB===' }, 'ERR_JWK_INVALID'],
    [{ dp: {} }, 'ERR_JWK_INVALID'],
    [{ dq: [] }, 'ERR_JWK_INVALID'],
    [{ oth: [{}] }, 'ERR_KEY_MULTI_PRIME'],
    [{ p: undefined, q: undefined }, 'ERR_JWK_INCOMPLETE'],
    [{ p: undefined }, 'ERR_JWK_INCOMPLETE'],
    [{ d: undefined }, 'ERR_JWK_INCOMPLETE'],
    [{ n: undefined }, 'ERR_JWK_INCOMPLETE'],
    [
      { d: undefined, p: undefined, q: undefined, dp: undefined, dq: undefined, qi: undefined },
      'ERR_KEY_NOT_PRIVATE',
    ],
  ])('refuses %o', async (members, code) => {
    expect(await codeOf(readJwk({ ...jwk, ...members }))).toBe(code);
  });

  test('skips and names the keys of a set that it cannot import', async () => {
    const set = {
      keys: [
        { ...jwk, kid: 'good' },
        { ...other, kid: 'bad', use: 'enc' },
      ],
    };
    const { keys, skipped } = await readJwks(set);
    expect(keys).toMatchObject([{ kid: 'good' }]);
    expect(skipped).toMatchObject([
      {
        kid: 'bad',
        error: {
          code: 'ERR_KEY_NOT_FOR_SIGNING',
          message: expect.stringContaining('Key 2 of the set (kid bad) in jwks.json'),
        },
      },
    ]);
  });

  test('escapes control characters of a kid', async () => {
    const { message } = await refusal(readJwks({ keys: [{ ...jwk, kid: '\u001b[31m\u0007', use: 'enc' }] }));
    // biome-ignore lint/suspicious/noControlCharactersInRegex: finding control characters is its purpose
    expect(message).not.toMatch(/[\u0007\u001b]/);
  });
});

describe('checking the numbers of a key', () => {
  const readNumbers = (numbers: Parameters<typeof jwkFromNumbers>[0]) => readJwk(jwkFromNumbers(numbers));

  test.each([1024, 2046])('refuses %i bits', async (bits) => {
    expect(await codeOf(readJwk(freshJwk({ bits })))).toBe('ERR_KEY_SIZE');
    expect(await codeOf(readPem(pkcs8Of(freshPair({ bits }))))).toBe('ERR_KEY_SIZE');
  });

  test('refuses more than 8192 bits', async () => {
    for (const bytes of [1_025, 400_000]) {
      const n = Buffer.alloc(bytes, 0xff).toString('base64url');
      expect(await codeOf(readJwk({ ...jwk, n }))).toBe('ERR_KEY_SIZE');
    }
  });

  test('refuses huge numbers quickly', async () => {
    const long = Buffer.alloc(90_000, 0xff).toString('base64url');
    const startedAt = performance.now();
    for (const member of RSA_MEMBERS) await refusal(readJwk({ ...jwk, [member]: long }));
    const all = { d: long, p: long, q: long, dp: long, dq: long, qi: long };
    expect(await codeOf(readJwk({ ...jwk, ...all }))).toBe('ERR_KEY_INCONSISTENT');
    expect(performance.now() - startedAt).toBeLessThan(5_000);
  });

  test('refuses exponents below 65537, even ones, and huge ones', async () => {
    expect(await codeOf(readPem(pkcs8Of(freshPair({ exponent: 3 }))))).toBe('ERR_KEY_EXPONENT');
    expect(await codeOf(readJwk(freshJwk({ exponent: 3 })))).toBe('ERR_KEY_EXPONENT');
    for (const e of [0n, 1n, 65_535n, 65_538n, 2n ** 64n + 1n]) {
      expect(await codeOf(readJwk({ ...jwk, e: toMember(e) }))).toBe('ERR_KEY_EXPONENT');
    }
    expect(await readJwk(jwkWithExponent(jwk, 65_539n))).toMatchObject({ bits: 2048 });
  });

  test.each(['n', 'd', 'p', 'q', 'dp', 'dq', 'qi'] as const)(
    'refuses the %s of another key, or another number',
    async (member) => {
      for (const value of [other[member], toMember(numbersOf(jwk)[member] + 2n), 'AA', 'AQ']) {
        const { code } = await refusal(readJwk({ ...jwk, [member]: value }));
        expect(code).toMatch(/^ERR_KEY_(INCONSISTENT|SIZE)$/);
        if (member !== 'n') expect(code).toBe('ERR_KEY_INCONSISTENT');
      }
    },
  );

  test('refuses the private numbers of one key with the modulus of another', async () => {
    expect(await codeOf(readJwk({ ...jwk, n: other.n }))).toBe('ERR_KEY_INCONSISTENT');
    const { d, p, q, dp, dq, qi } = other;
    expect(await codeOf(readJwk({ ...jwk, d, p, q, dp, dq, qi }))).toBe('ERR_KEY_INCONSISTENT');
  });

  test('accepts d reduced by either totient, and refuses a larger one', async () => {
    const numbers = numbersOf(jwk);
    const { e, p, q } = numbers;
    const least = inverse(e, ((p - 1n) * (q - 1n)) / 2n);
    for (const d of new Set([least, inverse(e, (p - 1n) * (q - 1n))])) {
      expect(await readNumbers({ ...numbers, d })).toMatchObject({ thumbprint: thumbprintOf(jwk) });
    }
    expect(await codeOf(readNumbers({ ...numbers, d: numbers.d + (p - 1n) * (q - 1n) }))).toBe(
      'ERR_KEY_INCONSISTENT',
    );
  });

  test('refuses a dp, dq, or qi that is not reduced', async () => {
    const numbers = numbersOf(jwk);
    const { p, q, dp, dq, qi } = numbers;
    for (const more of [{ dp: dp + p - 1n }, { dq: dq + q - 1n }, { qi: qi + p }]) {
      expect(await codeOf(readNumbers({ ...numbers, ...more }))).toBe('ERR_KEY_INCONSISTENT');
    }
  });

  test('refuses a composite p or q, a third prime, and the same prime twice', async () => {
    const { p, q } = numbersOf(jwk);
    const [first, second] = [numbersOf(other).p, numbersOf(other).q];
    expect(await codeOf(readNumbers(pairFrom(p * q, first * second, 65_537n)))).toBe('ERR_KEY_INCONSISTENT');
    expect(await codeOf(readNumbers({ ...pairFrom(p, first, 65_537n), n: p * first * q }))).toBe(
      'ERR_KEY_MULTI_PRIME',
    );
    const square = { ...pairFrom(p, p, 65_537n), qi: 1n };
    expect(await codeOf(readNumbers(square))).toBe('ERR_KEY_INCONSISTENT');
  });
});

describe('checking the primes of a key', () => {
  const E = 65_537n;
  const prime = (bits: number) => generatePrimeSync(bits, { bigint: true });
  const readPrimes = (p: bigint, q: bigint) => readJwk(jwkFromNumbers(pairFrom(p, q, E)));
  const areOfPair = (p: bigint, q: bigint, bits = 2048) =>
    (p * q).toString(2).length === bits && inverse(E, (p - 1n) * (q - 1n)) !== 0n;

  /** Returns primes of these lengths whose product has 2048 bits. */
  function primesOf(first: number, second: number): [bigint, bigint] {
    for (;;) {
      const [p, q] = [prime(first), prime(second)];
      if (areOfPair(p, q)) return [p, q];
    }
  }

  /** Returns a prime of 1024 bits, and the next one more than `distance` above it. */
  function primesApart(distance: bigint): [bigint, bigint] {
    for (;;) {
      const p = prime(1024);
      let q = p + distance + 1n + (distance % 2n === 0n ? 1n : 0n);
      while (!checkPrimeSync(q)) q += 2n;
      if (areOfPair(p, q)) return [p, q];
    }
  }

  test.each([
    [1536, 512],
    [1100, 948],
    [1025, 1023],
  ])('refuses primes of %i and %i bits', async (first, second) => {
    const [p, q] = primesOf(first, second);
    expect(await codeOf(readPrimes(p, q))).toBe('ERR_KEY_WEAK_PRIMES');
    expect(await codeOf(readPrimes(q, p))).toBe('ERR_KEY_WEAK_PRIMES');
    const pem = pkcs1Of(keyOf(jwkFromNumbers(pairFrom(p, q, E))));
    expect(await codeOf(readPem(pem))).toBe('ERR_KEY_WEAK_PRIMES');
  });

  test('refuses primes of a 2048-bit key that are at most 2^924 apart, and accepts a larger distance', async () => {
    for (const distance of [0n, 2n ** 500n, 2n ** 923n]) {
      const [p, q] = primesApart(distance);
      expect(await codeOf(readPrimes(p, q))).toBe('ERR_KEY_WEAK_PRIMES');
      expect(await codeOf(readPrimes(q, p))).toBe('ERR_KEY_WEAK_PRIMES');
    }
    const [p, q] = primesApart(2n ** 924n);
    expect(await readPrimes(p, q)).toMatchObject({ bits: 2048 });
    expect(await readPrimes(q, p)).toMatchObject({ bits: 2048 });
  });

  test('refuses primes of the generator of CVE-2017-15361 (ROCA)', async () => {
    let [p, q] = [rocaPrime(), rocaPrime()];
    while (!areOfPair(p, q)) [p, q] = [rocaPrime(), rocaPrime()];
    expect(await codeOf(readPrimes(p, q))).toBe('ERR_KEY_WEAK_PRIMES');
  });

  test.each([2048, 2050, 3072, 4096])(
    'accepts keys of %i bits from Node and OpenSSL',
    async (bits) => {
      expect(await readJwk(freshJwk({ bits }))).toMatchObject({ bits });
      expect(await readPem(await openssl(temporaryFolder(), 'genrsa', String(bits)))).toMatchObject({ bits });
    },
    60_000,
  );

  test.each([2049, 3073])('accepts an odd size: %i bits', async (bits) => {
    // With a longer exponent, OpenSSL 3 rounds to an even number of bits.
    const odd = freshJwk({ bits, exponent: 3 });
    expect(await readJwk(jwkWithExponent(odd, E))).toMatchObject({ bits });
  });

  test('accepts 8192 bits', async () => {
    expect(await readPrimes(toNumber(RSA_8192.p), toNumber(RSA_8192.q))).toMatchObject({ bits: 8192 });
  }, 60_000);
});

describe('any file', () => {
  test('never puts control characters into a message', async () => {
    const file = '\u001b]0;pwned\u0007.json';
    const readings = [
      readJwkText('', file),
      readJwkText('{"keys":[1]}', file),
      readJwkText('{}', file),
      readPem('', ask, file),
      readPem(pemOf(randomBytes(99), 'PRIVATE KEY'), ask, file),
    ];
    for (const reading of readings) {
      const { message } = await refusal(reading);
      expect(message).toContain('pwned');
      // biome-ignore lint/suspicious/noControlCharactersInRegex: finding control characters is its purpose
      expect(message).not.toMatch(/[\u0007\u001b]/);
    }
  });

  test('is accepted or refused with a JwtctlError', async () => {
    const random = sequence(7);
    const der = keyOf(jwk).export({ type: 'pkcs8', format: 'der' });
    const texts = [
      pkcs8Of(keyOf(jwk)),
      pkcs1Of(keyOf(jwk)),
      encryptedOf(keyOf(jwk), 'pkcs8', PASSPHRASE),
      encryptedOf(keyOf(jwk), 'pkcs1', PASSPHRASE),
      JSON.stringify({ ...jwk, kid: 'k1', use: 'sig', key_ops: ['sign'] }),
      JSON.stringify({ keys: [jwk, other] }),
    ];
    for (let round = 0; round < 300; round++) {
      const text = texts[round % texts.length] as string;
      const spoiled = Buffer.from(random() < 0.3 ? text.slice(0, random() * text.length) : text);
      for (let change = random() * 4; change > 0; change--)
        spoiled[Math.floor(random() * spoiled.length)] = random() * 256;
      await expectReadOrRefused(spoiled.toString());
      const bytes = Buffer.from(der.subarray(0, random() < 0.3 ? random() * der.length : undefined));
      bytes[Math.floor(random() * Math.min(bytes.length, 60))] = random() * 256;
      await expectReadOrRefused(pemOf(bytes, random() < 0.5 ? 'PRIVATE KEY' : 'RSA PRIVATE KEY'));
    }
    for (let round = 0; round < 20; round++) await expectReadOrRefused(randomBytes(5_000).toString());
    for (const part of [
      '-----BEGIN ',
      '-----BEGIN PRIVATE KEY-----',
      '{"keys":[',
      '{"kty":"RSA","n":"A',
      '\0',
    ])
      await expectReadOrRefused(part.repeat(MAX_KEY_FILE_BYTES / 20));
  });

  async function expectReadOrRefused(text: string) {
    for (const read of [() => readPem(text, ask), () => readJwkText(text)]) {
      await read().catch(async (error: unknown) => {
        await refusal(Promise.reject(error));
      });
    }
  }
});

/** Numbers from 0 to 1, the same in every run. */
function sequence(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return state / 2_147_483_648;
  };
}
