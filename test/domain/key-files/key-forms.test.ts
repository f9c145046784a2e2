import { createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { type KeyFileOptions, readKeys } from '../../../src/domain/key-files/read-keys.js';
import { temporaryFolder } from '../../support/cli.js';
import {
  encryptedOf,
  freshJwk,
  keyOf,
  openssl,
  type PrivateJwk,
  pkcs1Of,
  pkcs8Of,
  thumbprintOf,
  writeKeyFile,
} from '../../support/private-keys.js';

const PASSPHRASE = 'correct horse battery';
const readFile = (content: Content, options: Pick<KeyFileOptions, 'form' | 'wanted'>, name = 'key') =>
  readKeys(content, { name, ...options, askPassphrase: async () => PASSPHRASE });
const readPem = async (content: Content, wanted: KeyFileOptions['wanted'] = 'private') =>
  (await readFile(content, { form: 'pem', wanted })).keys[0];
const readJwks = (content: Content) => readFile(content, { form: 'jwk', wanted: 'private' });

let jwk: PrivateJwk;
let pkcs8 = '';
let pkcs1 = '';
let spki = '';
beforeAll(() => {
  jwk = freshJwk();
  pkcs8 = pkcs8Of(keyOf(jwk));
  pkcs1 = pkcs1Of(keyOf(jwk));
  spki = createPublicKey(keyOf(jwk)).export({ type: 'spki', format: 'pem' }).toString();
});

const relabel = (pem: string, label: string) =>
  pem.replaceAll(/(BEGIN|END) [A-Z ]+-----/g, `$1 ${label}-----`);
const lines = (pem: string) => pem.trimEnd().split('\n');
const utf16 = (text: string, bom: boolean) => Buffer.from(`${bom ? '\ufeff' : ''}${text}`, 'utf16le');

type Content = string | Buffer;

describe('a PEM file is read', () => {
  const forms: Array<[string, () => Content]> = [
    ['with the characters \\n for line breaks', () => pkcs8.replaceAll('\n', '\\n')],
    ['with the characters \\r\\n', () => pkcs8.replaceAll('\n', '\\r\\n')],
    ['with the characters \\r', () => pkcs1.replaceAll('\n', '\\r')],
    ['with \\n escaped twice', () => pkcs8.replaceAll('\n', '\\\\n')],
    ['as a line of an .env file', () => `JWT_KEY="${pkcs8.replaceAll('\n', '\\n')}"\n`],
    ['as a JSON string', () => JSON.stringify(pkcs8)],
    ['as a JSON string of PHP', () => JSON.stringify(pkcs8).replaceAll('/', '\\/')],
    [
      'in the JSON file of a service account',
      () => JSON.stringify({ type: 'service_account', private_key: pkcs8 }),
    ],
    ['with the equals signs of Gson', () => JSON.stringify(pkcs8).replaceAll('=', '\\u003d')],
    ['as mysql -N prints it', () => `2024-01\t${pkcs8.replaceAll('\n', '\\n')}\n`],
    ['as a CSV field', () => `kid,key\n1,"${pkcs8}"\n`],
    [
      'as a YAML block',
      () =>
        `key: |\n${lines(pkcs8)
          .map((line) => `    ${line}`)
          .join('\n')}\n`,
    ],
    [
      'indented with tabs',
      () =>
        lines(pkcs1)
          .map((line) => `\t\t${line}`)
          .join('\n'),
    ],
    ['with CRLF', () => pkcs8.replaceAll('\n', '\r\n')],
    ['with a single CR', () => pkcs8.replaceAll('\n', '\r')],
    ['with double spacing', () => pkcs8.replaceAll('\n', '\n\n')],
    ['with trailing spaces', () => pkcs8.replaceAll('\n', '  \n')],
    ['with spaces for line breaks', () => lines(pkcs8).join(' ')],
    ['on a single line', () => lines(pkcs1).join('')],
    [
      'as Java source',
      () =>
        lines(pkcs8)
          .map((line) => `    "${line}\\n"`)
          .join(' +\n'),
    ],
    [
      'as Python source',
      () =>
        `KEY = (\n${lines(pkcs8)
          .map((line) => `  '${line}\\n'`)
          .join('\n')}\n)`,
    ],
    ['with single quotes', () => `'${pkcs8}'`],
    ['with backslashes at the line ends', () => pkcs8.trimEnd().replaceAll('\n', '\\\n')],
    [
      'with lines of 76 characters',
      () =>
        pkcs8
          .replace(/\n(?!-)/g, '')
          .replace(/(-----)(MII)/, '$1\n$2')
          .replace(/.{76}/g, '$&\n')
          .replace(/-{2,}\n?-{2,}/g, '-----'),
    ],
    ['with a byte order mark', () => `\ufeff${pkcs8}`],
    ['in UTF-16 with a byte order mark', () => utf16(pkcs8, true)],
    ['in UTF-16 without one', () => utf16(pkcs8, false)],
    ['in big-endian UTF-16', () => utf16(pkcs8, true).swap16()],
    [
      'with Latin-1 text before it',
      () => Buffer.concat([Buffer.from('Schl\xfcssel\n', 'latin1'), Buffer.from(pkcs8)]),
    ],
    [
      'with bag attributes',
      () =>
        `Bag Attributes\n    friendlyName: x\n    localKeyID: 01 02\nKey Attributes: <No Attributes>\n${pkcs8}`,
    ],
    ['with PKCS#8 under the label of an EC key', () => relabel(pkcs8, 'EC PRIVATE KEY')],
    ['before its public key', () => `${pkcs8}\n${spki}`],
    ['with PKCS#1 under the label of PKCS#8', () => relabel(pkcs1, 'PRIVATE KEY')],
    ['with PKCS#8 under the label of PKCS#1', () => relabel(pkcs8, 'RSA PRIVATE KEY')],
    ['with PKCS#8 under the label of encrypted PKCS#8', () => relabel(pkcs8, 'ENCRYPTED PRIVATE KEY')],
    [
      'with encrypted PKCS#8 under the plain label',
      () => relabel(encryptedOf(keyOf(jwk), 'pkcs8', PASSPHRASE), 'PRIVATE KEY'),
    ],
    [
      'with encrypted PKCS#8 and \\n',
      () => encryptedOf(keyOf(jwk), 'pkcs8', PASSPHRASE).replaceAll('\n', '\\n'),
    ],
    [
      'with encrypted PKCS#1, indented',
      () => encryptedOf(keyOf(jwk), 'pkcs1', PASSPHRASE).replaceAll('\n', '\n  '),
    ],
    [
      'with encrypted PKCS#1 and \\n',
      () => encryptedOf(keyOf(jwk), 'pkcs1', PASSPHRASE).replaceAll('\n', '\\n'),
    ],
  ];

  test.each(forms)('%s', async (_, content) => {
    expect((await readPem(content()))?.thumbprint).toBe(thumbprintOf(jwk));
  });

  test('with a certificate before the key, as openssl writes it', async () => {
    const folder = temporaryFolder();
    writeKeyFile(folder, 'key.pem', pkcs8);
    const certificate = await openssl(folder, 'req', '-x509', '-new', '-key', 'key.pem', '-subj', '/CN=x');
    for (const text of [`${certificate}${pkcs8}`, `${pkcs8}${certificate}${certificate}`]) {
      expect((await readPem(text))?.thumbprint).toBe(thumbprintOf(jwk));
      expect((await readPem(text, 'public'))?.thumbprint).toBe(thumbprintOf(jwk));
    }
  });

  test('as a public key in the same forms', async () => {
    const rsa = createPublicKey(spki).export({ type: 'pkcs1', format: 'pem' }).toString();
    for (const text of [
      spki.replaceAll('\n', '\\n'),
      relabel(rsa, 'PUBLIC KEY'),
      relabel(spki, 'RSA PUBLIC KEY'),
      utf16(spki, true),
    ]) {
      expect((await readPem(text, 'public'))?.thumbprint).toBe(thumbprintOf(jwk));
    }
  });
});

describe('a PEM file with several public keys', () => {
  const another = () => createPublicKey(keyOf(freshJwk())).export({ type: 'spki', format: 'pem' }).toString();

  test('is refused', async () => {
    for (const text of [`${spki}${another()}`, `${another()}${spki}`]) {
      await expect(readPem(text, 'public')).rejects.toMatchObject({ code: 'ERR_PEM_MANY_KEYS' });
    }
    await expect(readPem(`${spki}${another().slice(0, 200)}`, 'public')).rejects.toThrow('END line');
    expect((await readPem(`${spki}${spki}`, 'public'))?.thumbprint).toBe(thumbprintOf(jwk));
  });

  test('is read if they are the certificates of a chain, with a note', async () => {
    const folder = temporaryFolder();
    const certify = async (name: string, pem: string) => {
      writeKeyFile(folder, name, pem);
      return openssl(folder, 'req', '-x509', '-new', '-key', name, '-subj', `/CN=${name}`);
    };
    const [leaf, root] = [await certify('leaf', pkcs8), await certify('root', pkcs8Of(keyOf(freshJwk())))];
    expect(await readPem(`${leaf}${root}`, 'public')).toMatchObject({
      thumbprint: thumbprintOf(jwk),
      note: expect.stringContaining('2 certificates'),
    });
    expect((await readPem(leaf, 'public'))?.note).toBeUndefined();
    await expect(readPem(`${root}${spki}`, 'public')).rejects.toMatchObject({ code: 'ERR_PEM_MANY_KEYS' });
  });

  test('is named if its label is wrong', async () => {
    await expect(readPem(relabel(spki, 'RSA PUBIC KEY'), 'public')).rejects.toMatchObject({
      message: expect.stringContaining('only RSA PUBIC KEY'),
      hint: expect.stringContaining('RSA PUBLIC KEY'),
    });
  });

  test('is named if its only key is private', async () => {
    await expect(readPem(pkcs8, 'public')).rejects.toMatchObject({ code: 'ERR_KEY_NOT_PUBLIC' });
  });
});

describe('a file that is no PEM file of an RSA key is named', () => {
  const der = () => keyOf(jwk).export({ type: 'pkcs8', format: 'der' });
  const ec = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const others: Array<[string, () => Content, RegExp]> = [
    ['an empty file', () => '', /is empty/],
    ['white space', () => ' \n\n', /is empty/],
    ['DER', der, /private key in DER form/],
    ['DER of PKCS#1', () => keyOf(jwk).export({ type: 'pkcs1', format: 'der' }), /private key in DER form/],
    [
      'DER of encrypted PKCS#8',
      () =>
        Buffer.from(
          lines(encryptedOf(keyOf(jwk), 'pkcs8', 'x'))
            .slice(1, -1)
            .join(''),
          'base64',
        ),
      /private key in DER form/,
    ],
    [
      'DER of a public key',
      () => createPublicKey(spki).export({ type: 'spki', format: 'der' }),
      /public key in DER form/,
    ],
    ['other DER', () => Buffer.concat([Buffer.from([0x30, 0x82, 1, 0]), randomBytes(256)]), /DER data/],
    [
      'a Java keystore',
      () => Buffer.concat([Buffer.from('feedfeed00000002', 'hex'), randomBytes(90)]),
      /Java keystore \(JKS\)/,
    ],
    ['a JCEKS keystore', () => Buffer.from('cececece00000002', 'hex'), /JCEKS/],
    ['a ZIP archive', () => Buffer.from('504b03041400', 'hex'), /ZIP/],
    ['random bytes', () => Buffer.concat([Buffer.from([0x80, 0x81, 0]), randomBytes(90)]), /binary data/],
    ['base64 of a PEM file', () => Buffer.from(pkcs8).toString('base64'), /PEM file encoded in base64/],
    [
      'base64 in lines',
      () => Buffer.from(pkcs8).toString('base64').replace(/.{76}/g, '$&\n'),
      /PEM file encoded in base64/,
    ],
    [
      'the body without its lines',
      () => lines(pkcs8).slice(1, -1).join('\n'),
      /without its BEGIN and END lines/,
    ],
    [
      'a Kubernetes Secret',
      () => `apiVersion: v1\nkind: Secret\ndata:\n  key: ${Buffer.from(pkcs8).toString('base64')}\n`,
      /a Kubernetes Secret/,
    ],
    [
      'base64 of a PEM file in an .env file',
      () => `JWT_KEY=${Buffer.from(pkcs8).toString('base64')}\n`,
      /text around a PEM file in base64/,
    ],
    ['an OpenSSH public key', () => 'ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQ me@host', /OpenSSH public key/],
    ['a PuTTY key', () => 'PuTTY-User-Key-File-3: ssh-rsa\nEncryption: none\n', /PuTTY/],
    ['a fingerprint', () => 'SHA256:nThbg6kXUpJWGl7E1IGOCspRomTxdCARLviKw6E5SY8', /fingerprint/],
    ['a fingerprint in hex', () => '16:27:ac:a5:76:28:2d:36:63:1b:56:4d:eb:df:a6:48', /fingerprint/],
    ['an HMAC secret', () => 'your-256-bit-secret', /secret.*HS256/],
    ['an HMAC secret in base64', () => randomBytes(32).toString('base64'), /secret.*HS256/],
    [
      'an HMAC secret in base64 like a path',
      () => Buffer.alloc(32, 0xff).toString('base64'),
      /secret.*HS256/,
    ],
    ['a JWT', () => 'eyJhbGciOiJSUzI1NiJ9.e30.AAAA', /JWT/],
    ['an HTML page', () => '<!DOCTYPE html><html><body>404</body></html>', /HTML page/],
    ['an XML key of .NET', () => '<RSAKeyValue><Modulus>AA==</Modulus></RSAKeyValue>', /RSAKeyValue/],
    ['the path of a file', () => '/etc/ssl/private/key.pem', /name or address/],
    ['an ARN', () => 'arn:aws:kms:eu-central-1:111122223333:key/1234abcd', /name or address/],
    ['a JWK', () => JSON.stringify(jwk), /is JSON/],
    ['typographic dashes', () => pkcs8.replaceAll('-----', '—–—'), /damaged BEGIN line/],
    ['four hyphens', () => pkcs8.replaceAll('-----', '----'), /damaged BEGIN line/],
    ['an error message', () => 'cat: key.pem: No such file or directory', /text that is not a key/],
    ['no END line', () => lines(pkcs8).slice(0, -1).join('\n'), /END line is missing/],
    ['a missing line', () => pkcs8.split('\n').toSpliced(9, 1).join('\n'), /cut off/],
    [
      '/n for its line breaks',
      () => pkcs8.trim().replaceAll('\n', '/n'),
      /has \/n in place of its line breaks/,
    ],
    ['%0A for its line breaks', () => pkcs1.trim().replaceAll('\n', '%0A'), /has %0A in place of/],
    ['<br> for its line breaks', () => pkcs8.trim().replaceAll('\n', '<br>'), /has <br> in place of/],
    ['a pointer of Git LFS', () => 'version https://git-lfs.github.com/spec/v1\n', /pointer of Git LFS/],
    ['a file of Ansible Vault', () => '$ANSIBLE_VAULT;1.1;AES256\n6162\n', /Ansible Vault/],
    [
      'other characters',
      () => pkcs8.replace(/\n[A-Za-z0-9+/]{64}\n/, '\n[…]\n'),
      /characters other than base64/,
    ],
    ['an EC key', () => ec().privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), /type ec/],
    [
      'an EC key of SEC 1',
      () => ec().privateKey.export({ type: 'sec1', format: 'pem' }).toString(),
      /type ec/,
    ],
    [
      'an Ed25519 key',
      () => generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      /type ed25519/,
    ],
    [
      'an OpenSSH key',
      () =>
        `-----BEGIN OPENSSH PRIVATE KEY-----\n${randomBytes(60).toString('base64')}\n-----END OPENSSH PRIVATE KEY-----`,
      /OpenSSH format/,
    ],
    [
      'a PGP key',
      () =>
        `-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n${randomBytes(60).toString('base64')}\n-----END PGP PRIVATE KEY BLOCK-----`,
      /type PGP/,
    ],
    ['a public key', () => spki, /no private key, only PUBLIC KEY/],
    ['a public key with the wrong label', () => relabel(spki, 'PRIVATE KEY'), /public key or a certificate/],
    ['a certificate', () => relabel(spki, 'CERTIFICATE'), /no private key, only CERTIFICATE/],
    ['a certificate request', () => relabel(spki, 'CERTIFICATE REQUEST'), /only CERTIFICATE REQUEST/],
  ];

  test.each(others)('%s', async (_, content, expected) => {
    const failure = await readPem(content()).then(
      () => null,
      (error) => error,
    );
    expect(failure).toMatchObject({ kind: 'usage', message: expect.stringMatching(expected) });
    expect(`${failure.message} ${failure.hint}`).not.toContain(lines(pkcs8)[3]);
  });

  test('PKCS#12, as openssl writes it', async () => {
    const folder = temporaryFolder();
    writeKeyFile(folder, 'key.pem', pkcs8);
    await openssl(folder, 'req', '-x509', '-new', '-key', 'key.pem', '-subj', '/CN=x', '-out', 'cert.pem');
    await openssl(
      folder,
      'pkcs12',
      '-export',
      '-inkey',
      'key.pem',
      '-in',
      'cert.pem',
      '-passout',
      'pass:x',
      '-out',
      'key.p12',
    );
    await openssl(folder, 'x509', '-in', 'cert.pem', '-outform', 'DER', '-out', 'cert.der');

    await expect(readPem(readFileSync(`${folder}/key.p12`))).rejects.toThrow('PKCS#12');
    await expect(readPem(readFileSync(`${folder}/cert.der`))).rejects.toThrow('certificate in DER form');
  });
});

describe('a JWK is read', () => {
  const forms: Array<[string, () => object]> = [
    [
      'with empty and null members',
      () => ({ ...jwk, key_ops: [], oth: [], kid: null, use: null, alg: null, x5c: null }),
    ],
    ['with padding', () => ({ ...jwk, e: 'AQAB', n: `${jwk.n}==`, d: `${jwk.d}==` })],
    [
      'with a sign byte',
      () =>
        Object.fromEntries(
          Object.entries(jwk).map(([name, value]) => [
            name,
            name === 'kty'
              ? value
              : Buffer.concat([Buffer.from([0]), Buffer.from(String(value), 'base64url')]).toString(
                  'base64url',
                ),
          ]),
        ),
    ],
    [
      'in base64 instead of base64url',
      () =>
        Object.fromEntries(
          Object.entries(jwk).map(([name, value]) => [
            name,
            name === 'kty' ? value : Buffer.from(String(value), 'base64url').toString('base64'),
          ]),
        ),
    ],
    ['with n, e, and d alone', () => ({ kty: 'RSA', n: jwk.n, e: jwk.e, d: jwk.d })],
    ['without dp, dq, and qi', () => ({ kty: 'RSA', n: jwk.n, e: jwk.e, d: jwk.d, p: jwk.p, q: jwk.q })],
    ['without qi', () => ({ ...jwk, qi: undefined })],
    ['with null for dp, dq, and qi', () => ({ ...jwk, dp: null, dq: null, qi: null })],
    ['with its primes swapped', () => ({ kty: 'RSA', n: jwk.n, e: jwk.e, d: jwk.d, p: jwk.q, q: jwk.p })],
    [
      'with members of other specifications',
      () => ({ ...jwk, x5t: 'AA', ext: true, iat: 1, 'https://x.example/y': {} }),
    ],
    ['in an array', () => [jwk]],
    ['in a set', () => ({ keys: [jwk] })],
  ];

  test.each(forms)('%s', async (_, form) => {
    const text = JSON.stringify(form());
    for (const content of [text, `\ufeff${text}\r\n`, utf16(text, true)]) {
      const { keys } = await readJwks(content);
      expect(keys).toMatchObject([{ thumbprint: thumbprintOf(jwk), bits: 2048 }]);
    }
  });

  test('with n, e, and d alone for keys of other sizes and exponents', async () => {
    for (const options of [{ bits: 2056 }, { bits: 3072 }, { bits: 4096 }, { exponent: 65_539 }]) {
      const { n, e, d, ...rest } = freshJwk(options);
      const [key] = (await readJwks(JSON.stringify({ kty: 'RSA', n, e, d }))).keys;
      expect(key?.thumbprint).toBe(thumbprintOf({ n, e }));
      const read = Buffer.from(key?.pkcs8 ?? []).toString('base64');

      const { p, q } = createPrivateKey({
        key: Buffer.from(read, 'base64'),
        format: 'der',
        type: 'pkcs8',
      }).export({ format: 'jwk' });
      expect([p, q].sort()).toEqual([rest.p, rest.q].sort());
    }
  });

  test('but not JSON around a key, which is named with the way to take it out', async () => {
    const base64 = Buffer.from(pkcs8).toString('base64');
    const body = lines(pkcs8).slice(1, -1).join('');
    const keycloak = { providerId: 'rsa', config: { privateKey: [body], priority: ['100'] } };
    const documents: Array<[document: object, what: RegExp, hint: string]> = [
      [keycloak, /is JSON of Keycloak around a private key/, "jq -r '.config.privateKey[0]' FILE"],
      [{ components: { x: [keycloak] } }, /Keycloak/, "'.components.x[0].config.privateKey[0]'"],
      [
        { kind: 'Secret', data: { 'tls.crt': 'TUlJ', 'tls.key': base64 } },
        /a Kubernetes Secret/,
        `jq -r '.data["tls.key"]' FILE | base64 -d`,
      ],
      [{ type: 'service_account', private_key: pkcs8 }, /around a PEM key/, 'keys import --pem FILE'],
      [{ data: { keys: { 1: pkcs1 } } }, /around a PEM key/, 'keys import --pem FILE'],
      [{ publicKey: { kty: 'RSA' }, privateKey: jwk }, /around a JWK/, "jq '.privateKey' FILE"],
    ];
    for (const [document, what, hint] of documents) {
      await expect(readJwks(JSON.stringify(document))).rejects.toMatchObject({
        code: 'ERR_JWK_INVALID',
        message: expect.stringMatching(what),
        hint: expect.stringContaining(hint),
      });
    }
    await expect(readPem(JSON.stringify(keycloak))).rejects.toThrow('Keycloak');
  });

  test('from a map of kids to PEM files, as Google publishes certificates', async () => {
    const folder = temporaryFolder();
    writeKeyFile(folder, 'key.pem', pkcs8);
    const certificate = await openssl(folder, 'req', '-x509', '-new', '-key', 'key.pem', '-subj', '/CN=x');
    const kid = 'a50f6e70ef4b548a5fd9142eecd1fb8f54dce9ee';
    const text = JSON.stringify({ [kid]: certificate, b: 'x-----BEGIN ' });
    for (const form of ['jwk', 'pem', undefined] as const) {
      const { isSet, keys, skipped } = await readFile(text, { form, wanted: 'public' });
      expect(isSet).toBe(true);
      expect(keys).toMatchObject([{ kid, thumbprint: thumbprintOf(jwk) }]);
      expect(skipped).toMatchObject([{ kid: 'b' }]);
    }
    await expect(readJwks(text)).rejects.toMatchObject({ code: 'ERR_KEY_NOT_PRIVATE' });
  });

  test('not with numbers in another notation, which is named', async () => {
    const { kty, ...numbers } = jwk;
    const notations: Array<[form: (hex: string) => string, name: RegExp]> = [
      [(hex) => hex, /n is hexadecimal;/],
      [(hex) => `00${hex.toUpperCase()}`, /n is hexadecimal;/],
      [(hex) => `0x${hex}`, /n is hexadecimal;/],
      [(hex) => hex.replace(/..(?!$)/g, '$&:'), /n is hexadecimal;/],
      [(hex) => BigInt(`0x${hex}`).toString(), /n is decimal;/],
      [(hex) => Buffer.from(hex).toString('base64'), /n is hexadecimal in base64;/],
      [() => Buffer.from(spki).toString('base64'), /n is a whole key in base64;/],
      [() => lines(spki).slice(1, -1).join(''), /n is a whole key in base64;/],
    ];
    for (const [form, name] of notations) {
      const others = Object.entries(numbers).map(([member, value]) => [
        member,
        form(Buffer.from(String(value), 'base64url').toString('hex')),
      ]);
      const foreign = { kty, ...Object.fromEntries(others), e: 'AQAB' };
      for (const wanted of ['private', 'public'] as const) {
        await expect(readFile(JSON.stringify(foreign), { form: 'jwk', wanted })).rejects.toMatchObject({
          code: 'ERR_JWK_INVALID',
          message: expect.stringMatching(name),
        });
      }
    }
  });

  test('not with a modulus that no two primes have', async () => {
    const bytes = Buffer.from(jwk.n, 'base64url');
    const even = Buffer.from(bytes);
    even[even.length - 1] = (even.at(-1) ?? 0) & 0xfe;
    const text = JSON.stringify({ kty: 'RSA', n: even.toString('base64url'), e: 'AQAB' });
    await expect(readFile(text, { form: 'jwk', wanted: 'public' })).rejects.toMatchObject({
      code: 'ERR_KEY_INCONSISTENT',
    });
  });

  test('but with a modulus of an odd number of bits, which some smart cards generate', async () => {
    const n = Buffer.concat([Buffer.from([1]), Buffer.from(jwk.n, 'base64url')]).toString('base64url');
    const text = JSON.stringify({ kty: 'RSA', n, e: 'AQAB' });
    expect(await readFile(text, { form: 'jwk', wanted: 'public' })).toMatchObject({ keys: [{ bits: 2049 }] });
  });

  test('not with a d of another key', async () => {
    const { d } = freshJwk();
    const text = JSON.stringify({ kty: 'RSA', n: jwk.n, e: jwk.e, d });
    await expect(readJwks(text)).rejects.toMatchObject({ code: 'ERR_KEY_INCONSISTENT' });
  });

  test.each([
    [
      'a discovery document',
      () => JSON.stringify({ issuer: 'https://id.example', jwks_uri: 'https://id.example/jwks' }),
      /discovery document/,
    ],
    ['a service account', () => JSON.stringify({ type: 'service_account', private_key: pkcs8 }), /PEM/],
    ['a PEM file', () => pkcs8, /PEM file/],
    ['a Python dictionary', () => "{'kty': 'RSA', 'n': 'AA'}", /not valid JSON/],
    ['an HTML page', () => '<html></html>', /HTML page/],
    ['YAML', () => `keys:\n  - kty: RSA\n    n: ${jwk.n}\n`, /YAML/],
    ['an empty file', () => '', /empty/],
    ['DER', () => keyOf(jwk).export({ type: 'pkcs8', format: 'der' }), /DER form/],
    ['an HMAC secret', () => 'secret', /HS256/],
    ['a JSON string', () => '"secret"', /secret|JSON/],
    ['an encrypted JWK', () => 'eyJhbGciOiJQQkVTMiJ9.AA.BB.CC.DD', /JWT|secret/],
  ] as Array<[string, () => Content, RegExp]>)('but not %s, which is named', async (_, content, expected) => {
    await expect(readJwks(content())).rejects.toMatchObject({
      code: 'ERR_JWK_INVALID',
      message: expect.stringMatching(expected),
    });
  });
});
