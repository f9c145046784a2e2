import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import {
  clientSecretSetting,
  MIN_CLIENT_SECRET_CHARACTERS,
  readClientSecret,
} from '../../config/secrets/secret-files.js';
import type { ClientSetting, Right } from '../../config/serve-clients.js';
import { JwtctlError } from '../../domain/shared/errors.js';

/** An application that may use the API. */
export interface Client {
  id: string;
  may: ReadonlySet<Right>;
  /** Null: all audiences. */
  audiences: ReadonlySet<string> | null;
}

export interface Clients {
  /**
   * Returns the client that these HTTP Basic credentials belong to; null if they are wrong.
   * @throws JwtctlError (unavailable) if the file with the client's secret cannot be read
   */
  authenticate(authorization: string | undefined): Promise<Client | null>;
}

export interface ClientsOptions {
  now(): number;
  warn(text: string): void;
}

interface KnownClient {
  client: Client;
  /** SHA-256 of the secret, or why it is not known. */
  digest: Buffer | JwtctlError;
}

/** Reads secret files again in each second with a request, so a new secret applies without a restart. */
export async function openClients(
  settings: readonly ClientSetting[],
  { now, warn }: ClientsOptions,
): Promise<Clients> {
  const warned = new Set<string>();
  const warnOnce = (text: string): void => {
    if (!warned.has(text)) warn(text);
    warned.add(text);
  };
  const readOne = async (setting: ClientSetting, index: number): Promise<[string, KnownClient]> => {
    const { id, may, audiences } = setting;
    const client = { id, may: new Set(may), audiences: audiences === null ? null : new Set(audiences) };
    const digest = await digestOf(setting, index, warnOnce).catch((error: unknown) => {
      if (!(error instanceof JwtctlError)) throw error;
      return error;
    });
    return [id, { client, digest }];
  };
  const readAll = async () => new Map(await Promise.all(settings.map(readOne)));

  let readAt = now();
  let reading = readAll();
  for (const { digest } of (await reading).values()) if (digest instanceof JwtctlError) throw digest;

  return {
    async authenticate(authorization) {
      if (now() !== readAt) {
        readAt = now();
        reading = readAll();
      }
      const known = await reading;
      let found: Client | null = null;
      let failure: JwtctlError | null = null;
      // An unknown id takes as long as a wrong secret.
      for (const { id, secret } of credentialsIn(authorization)) {
        const { client = null, digest = NO_SECRET } = known.get(id) ?? {};
        const expected = digest instanceof JwtctlError ? NO_SECRET : digest;
        const isEqual = timingSafeEqual(sha256(secret), expected);
        // `secretSha256` may be the digest of a short secret.
        if (isEqual && secret.length >= MIN_CLIENT_SECRET_CHARACTERS) found = client;
        if (digest instanceof JwtctlError) failure ??= digest;
      }
      if (failure === null) return found;
      warnOnce(failure.message);
      throw new JwtctlError(failure.code, failure.message, { kind: 'unavailable', cause: failure });
    },
  };
}

/** Equals no digest. */
const NO_SECRET = randomBytes(32);

async function digestOf(
  { secretFile, secretSha256 }: ClientSetting,
  index: number,
  warn: (text: string) => void,
): Promise<Buffer> {
  if (secretFile === null) return Buffer.from(String(secretSha256), 'hex');
  return sha256(await readClientSecret(secretFile, { setting: clientSecretSetting(index), warn }));
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

/** Returns both spellings: RFC 6749 §2.3.1 requires form-urlencoding, but not every client does it. */
function credentialsIn(authorization: string | undefined): Array<{ id: string; secret: string }> {
  const encoded = /^basic +([A-Za-z0-9+/=_-]+)$/i.exec(authorization ?? '')?.[1] ?? '';
  const text = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  if (colon === -1) return [];
  const plain = { id: text.slice(0, colon), secret: text.slice(colon + 1) };
  return [plain, { id: formDecoded(plain.id), secret: formDecoded(plain.secret) }];
}

function formDecoded(text: string): string {
  return new URLSearchParams(`x=${text.replaceAll('&', '%26')}`).get('x') ?? '';
}
