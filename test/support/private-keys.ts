import {
  createHash,
  createPrivateKey,
  generateKeyPairSync,
  type JsonWebKey,
  type KeyObject,
} from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { spawnProgram } from './spawned.js';

export type RsaMember = 'n' | 'e' | 'd' | 'p' | 'q' | 'dp' | 'dq' | 'qi';
export type RsaNumbers = Record<RsaMember, bigint>;
export type PrivateJwk = JsonWebKey & { kty: 'RSA' } & Record<RsaMember, string>;

export const RSA_MEMBERS: readonly RsaMember[] = ['n', 'e', 'd', 'p', 'q', 'dp', 'dq', 'qi'];

/** Generates a key pair whose thumbprint is a valid kid. One in 32 starts with - or _. */
export function freshPair(options: { bits?: number; exponent?: number } = {}): KeyObject {
  const { bits = 2048, exponent = 65_537 } = options;
  for (;;) {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: bits, publicExponent: exponent });
    if (!/^[-_]/.test(thumbprintOf(jwkOf(privateKey)))) return privateKey;
  }
}

export function freshJwk(options: { bits?: number; exponent?: number } = {}): PrivateJwk {
  return jwkOf(freshPair(options));
}

export function jwkOf(privateKey: KeyObject): PrivateJwk {
  return privateKey.export({ format: 'jwk' }) as PrivateJwk;
}

export function keyOf(jwk: JsonWebKey): KeyObject {
  return createPrivateKey({ key: jwk, format: 'jwk' });
}

export function pkcs8Of(privateKey: KeyObject): string {
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}

export function pkcs1Of(privateKey: KeyObject): string {
  return privateKey.export({ type: 'pkcs1', format: 'pem' }).toString();
}

/** Returns both encrypted PEM forms. */
export function encryptedOf(privateKey: KeyObject, type: 'pkcs8' | 'pkcs1', passphrase: string): string {
  return privateKey.export({ type, format: 'pem', cipher: 'aes-256-cbc', passphrase }).toString();
}

export function numbersOf(jwk: PrivateJwk): RsaNumbers {
  const entries = RSA_MEMBERS.map((name) => [name, toNumber(jwk[name])]);
  return Object.fromEntries(entries) as RsaNumbers;
}

export function jwkFromNumbers(numbers: RsaNumbers): PrivateJwk {
  const entries = RSA_MEMBERS.map((name) => [name, toMember(numbers[name])]);
  return { kty: 'RSA', ...Object.fromEntries(entries) } as PrivateJwk;
}

/** Computes the key of two primes and an exponent. `e` need not be a valid exponent for them. */
export function pairFrom(p: bigint, q: bigint, e: bigint): RsaNumbers {
  const d = inverse(e, (p - 1n) * (q - 1n));
  return { n: p * q, e, d, p, q, dp: d % (p - 1n), dq: d % (q - 1n), qi: inverse(q, p) };
}

/** Returns a key with the same primes and this exponent, or the next possible one. */
export function jwkWithExponent(jwk: PrivateJwk, atLeast: bigint): PrivateJwk {
  const { p, q } = numbersOf(jwk);
  for (let e = atLeast; ; e += 2n) {
    if (inverse(e, (p - 1n) * (q - 1n)) !== 0n) return jwkFromNumbers(pairFrom(p, q, e));
  }
}

/** Returns a key whose thumbprint begins with this. */
export function jwkWithThumbprint(begin: RegExp): PrivateJwk {
  let jwk = freshJwk();
  while (!begin.test(thumbprintOf(jwk))) jwk = jwkWithExponent(jwk, numbersOf(jwk).e + 2n);
  return jwk;
}

/** Computes the thumbprint of RFC 7638 §3, independently of the code under test. */
export function thumbprintOf({ e, n }: { e?: string; n?: string }): string {
  return createHash('sha256').update(`{"e":"${e}","kty":"RSA","n":"${n}"}`).digest('base64url');
}

export function toMember(number: bigint): string {
  const digits = number.toString(16);
  return Buffer.from(digits.length % 2 === 0 ? digits : `0${digits}`, 'hex').toString('base64url');
}

export function toNumber(member: string): bigint {
  return BigInt(`0x0${Buffer.from(member, 'base64url').toString('hex')}`);
}

/** Returns 0 if there is none. */
export function inverse(value: bigint, modulus: bigint): bigint {
  let [previous, rest] = [modulus, ((value % modulus) + modulus) % modulus];
  let [before, factor] = [0n, 1n];
  while (rest !== 0n) {
    const quotient = previous / rest;
    [previous, rest] = [rest, previous % rest];
    [before, factor] = [factor, before - quotient * factor];
  }
  return previous === 1n ? ((before % modulus) + modulus) % modulus : 0n;
}

/** Encodes a PKCS#1 RSAPrivateKey (RFC 8017 A.1.2) as DER from these integers, given as bytes. */
export function pkcs1Der(integers: readonly Buffer[]): Buffer {
  return derItem(0x30, Buffer.concat(integers.map((bytes) => derItem(0x02, bytes))));
}

function derItem(tag: number, content: Buffer): Buffer {
  const length = content.length;
  if (length < 0x80) return Buffer.concat([Buffer.from([tag, length]), content]);
  const digits = length.toString(16);
  const bytes = Buffer.from(digits.padStart(digits.length + (digits.length % 2), '0'), 'hex');
  return Buffer.concat([Buffer.from([tag, 0x80 | bytes.length]), bytes, content]);
}

export function pemOf(der: Buffer, label: string): string {
  const lines = der.toString('base64').replace(/.{64}/g, '$&\n');
  return `-----BEGIN ${label}-----\n${lines}\n-----END ${label}-----\n`;
}

/** Runs the openssl program in a folder and returns its stdout. */
export async function openssl(folder: string, ...words: string[]): Promise<string> {
  const env = { PATH: String(process.env.PATH) };
  const { exitCode, stdout, stderr } = await spawnProgram('openssl', words, { cwd: folder, env });
  if (exitCode !== 0) throw new Error(`openssl ${words[0]}: ${stderr}`);
  return stdout;
}

/** Writes a new file with this content and returns its name. */
export function writeKeyFile(folder: string, name: string, content: string | Buffer): string {
  const file = join(folder, name);
  writeFileSync(file, content, { mode: 0o600 });
  return file;
}

/** Returns the private members of these keys and the lines of their PEMs, none of which may be shown. */
export function secretsOf(...jwks: readonly PrivateJwk[]): string[] {
  return jwks.flatMap((jwk) => [
    ...(['d', 'p', 'q', 'dp', 'dq', 'qi'] as const).map((name) => jwk[name].slice(0, 40)),
    ...pkcs8Of(keyOf(jwk)).split('\n').slice(8, 24),
  ]);
}
