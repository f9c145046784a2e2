import { isDeeper, MOST_LEVELS } from '../shared/json-depth.js';
import { collectKeys } from './collect-keys.js';
import type { KeysInFile, Wanted } from './jwk-file.js';
import { base64Kind } from './key-file.js';
import { readPrivatePem } from './private-pem.js';
import { readPublicPem } from './public-pem.js';

/** A map of a kid to a PEM file, as Google publishes its certificates. */
export type PemMap = Readonly<Record<string, string>>;

export function isPemMap(document: object | null): document is PemMap {
  if (document === null || Array.isArray(document)) return false;
  const members = Object.entries(document);
  const isKid = (name: string) => !/key|cert|pem|public|private/i.test(name);
  return members.length > 0 && members.every(([name, value]) => isKid(name) && isPem(value));
}

/** Errors as for {@link readPrivatePem} and {@link readPublicPem}, only if no key can be read. */
export async function readPemMap(
  map: PemMap,
  file: string,
  wanted: Wanted,
  askPassphrase: () => Promise<string>,
): Promise<KeysInFile> {
  const read = wanted === 'public' ? readPublicPem : readPrivatePem;
  const collected = await collectKeys(
    Object.entries(map),
    ([kid]) => kid,
    async ([kid, pem]) => ({
      ...(await read(pem, `member ${printableName(kid)} of ${file}`, askPassphrase)),
      kid,
    }),
  );
  return { isSet: true, ...collected };
}

interface Found {
  kind: 'JWK' | 'PEM' | 'base64 of PEM' | 'DER';
  /** For jq. */
  path: string;
}

/** Names JSON of another program that has a key in it; null if it has none. */
export function keyInJson(document: object): { what: string; hint: string } | null {
  if (isDeeper(document, MOST_LEVELS)) return null;
  const all = [...keysIn(document, '')];
  const found = all.find(({ path }) => /private|secret/i.test(path)) ?? all[0];
  if (found === undefined) return null;
  const { kind, path } = found;
  switch (kind) {
    case 'JWK':
      return { what: 'JSON around a JWK', hint: `Take the JWK out: \`jq '${path}' FILE\`.` };
    case 'PEM':
      return {
        what: 'JSON around a PEM key',
        hint: 'Run `jwtctl keys import --pem FILE`, which finds the key in it.',
      };
    case 'base64 of PEM':
      return {
        what: `${'kind' in document && document.kind === 'Secret' ? 'a Kubernetes Secret' : 'JSON'} around a PEM key in base64`,
        hint: `Take the key out: \`jq -r '${path}' FILE | base64 -d > key.pem\`.`,
      };
    case 'DER':
      return {
        what: `JSON${/config\.privateKey\[0\]$/.test(path) ? ' of Keycloak' : ''} around a private key in base64`,
        hint: `Take the key out: \`(echo -----BEGIN PRIVATE KEY-----; jq -r '${path}' FILE; echo -----END PRIVATE KEY-----) > key.pem\`. Then run \`jwtctl keys import --pem key.pem --kid KID\` with the kid in the tokens that the key signed.`,
      };
  }
}

function* keysIn(value: unknown, path: string): Generator<Found> {
  if (typeof value === 'string') {
    const kind = isPem(value) ? 'PEM' : base64Kind(value);
    if (kind === 'PEM') yield { kind: isPem(value) ? 'PEM' : 'base64 of PEM', path };
    if (kind === 'PRIVATE KEY') yield { kind: 'DER', path };
  }
  if (typeof value !== 'object' || value === null) return;
  if ('kty' in value && typeof value.kty === 'string') return yield { kind: 'JWK', path };
  for (const [name, member] of Object.entries(value)) {
    yield* keysIn(member, `${path}${Array.isArray(value) ? `[${name}]` : step(name)}`);
  }
}

function step(name: string): string {
  return /^[A-Za-z_]\w{0,60}$/.test(name) ? `.${name}` : `["${printableName(name)}"]`;
}

/** A name that is safe in a message and in the quotes of a shell. */
function printableName(name: string): string {
  return name.slice(0, 60).replace(/[^\w.@/=+-]/g, '?');
}

function isPem(value: unknown): value is string {
  return typeof value === 'string' && value.includes('-----BEGIN ');
}
