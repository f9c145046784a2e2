import { readFileSync, writeFileSync } from 'node:fs';
import { rsaKeyPairGenerator } from '../../src/adapters/rsa/key-pair-generator.js';

/** A store that generates more keys than this would get one of them twice. */
const PAIRS = 64;
export const POOLED_BITS = 2_048;

type KeyPair = Awaited<ReturnType<typeof rsaKeyPairGenerator.generate>>;

/** Generates real key pairs once for all tests, because tests spent much of their time on that. */
export async function writePool(file: string): Promise<string> {
  const pairs = await Promise.all(
    Array.from({ length: PAIRS }, () => rsaKeyPairGenerator.generate(POOLED_BITS)),
  );
  const rows = pairs.map((pair) => ({ ...pair, pkcs8: Buffer.from(pair.pkcs8).toString('base64') }));
  writeFileSync(file, JSON.stringify(rows), { mode: 0o600 });
  return file;
}

/** Returns a function that returns the pairs in turn. */
export function readPool(file: string): () => KeyPair {
  const rows = JSON.parse(readFileSync(file, 'utf8')) as Array<Omit<KeyPair, 'pkcs8'> & { pkcs8: string }>;
  let next = 0;
  return () => {
    const row = rows[next++ % rows.length];
    if (row === undefined) throw new Error('The pool has no key pairs.');
    // A new buffer each time, because callers overwrite it.
    return { ...row, pkcs8: Buffer.from(row.pkcs8, 'base64') };
  };
}
