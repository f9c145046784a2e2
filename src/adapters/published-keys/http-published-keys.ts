import { get as getHttp, type IncomingMessage } from 'node:http';
import { get as getHttps } from 'node:https';
import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import type { PublishedKeys } from '../../domain/ports/published-keys.js';
import { JwtctlError } from '../../domain/shared/errors.js';
import { isUntrusted } from '../../domain/shared/tls-failure.js';

/** Enough to meet most servers behind one name. */
const FETCHES = 5;
/** A JWK Set with a thousand keys. */
const MOST_BYTES = 1_048_576;

/** Caches keep a copy for each, and libraries ask for either. */
const ENCODINGS = ['identity', 'gzip'] as const;

export interface PublishedKeysOptions {
  timeoutMs: number;
  /** CAs to trust instead of Node.js's default ones, as PEM. */
  ca?: string | undefined;
}

/** Sends the requests that a JWT library would send, so that caches answer as they answer libraries. */
export function httpPublishedKeys(url: string, options: PublishedKeysOptions): PublishedKeys {
  return {
    url,
    fetchAll: async () => {
      const others = new AbortController();
      try {
        return await Promise.all(
          Array.from({ length: FETCHES }, (_, index) =>
            fetchKeys(url, options, {
              encoding: ENCODINGS[index % 2] ?? 'identity',
              signal: others.signal,
            }),
          ),
        );
      } catch (error) {
        // They would keep the process until the timeout.
        others.abort();
        throw error;
      }
    },
  };
}

async function fetchKeys(
  url: string,
  { timeoutMs, ca }: PublishedKeysOptions,
  { encoding, signal }: { encoding: string; signal: AbortSignal },
): Promise<readonly unknown[]> {
  const timeout = AbortSignal.timeout(timeoutMs);
  let text: string;
  try {
    text = await readBody(await request(url, { encoding, ca, signal: AbortSignal.any([timeout, signal]) }));
  } catch (error) {
    if (error instanceof JwtctlError) throw error;
    const { code, name } = error as NodeJS.ErrnoException;
    const problem = timeout.aborted ? 'did not answer in time' : `cannot be fetched (${code ?? name})`;
    throw failure(url, problem, isUntrusted(error) ? CA_HINT : undefined);
  }
  const keys = keysIn(text);
  if (keys === null) throw failure(url, 'is not a JWK Set');
  return keys;

  async function readBody(response: IncomingMessage): Promise<string> {
    if (response.statusCode !== 200) {
      response.destroy();
      throw failure(url, `answered with status ${response.statusCode}`);
    }
    const chunks: Buffer[] = [];
    let bytes = 0;
    const isPacked = response.headers['content-encoding'] === 'gzip';
    const body = isPacked ? pipeline(response, createGunzip(), () => {}) : response;
    for await (const chunk of body as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > MOST_BYTES) throw failure(url, `is longer than ${MOST_BYTES} bytes`);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks).toString();
  }
}

const CA_HINT = 'Set `keys.publishCa` to the PEM file of the CA that issued the certificate.';

interface RequestOptions {
  encoding: string;
  ca: string | undefined;
  signal: AbortSignal;
}

function request(url: string, { encoding, ca, signal }: RequestOptions): Promise<IncomingMessage> {
  const get = url.startsWith('https:') ? getHttps : getHttp;
  const accept = 'application/jwk-set+json, application/json';
  const headers = { accept, 'accept-encoding': encoding, 'user-agent': 'jwtctl' };
  return new Promise((resolve, reject) => {
    // Without an agent, each request has a connection of its own. Redirects are not followed. Without
    // `rejectUnauthorized`, the variable NODE_TLS_REJECT_UNAUTHORIZED could turn the check of the certificate off.
    get(url, { agent: false, rejectUnauthorized: true, ca, headers, signal }, resolve).on('error', reject);
  });
}

function keysIn(text: string): readonly unknown[] | null {
  try {
    const { keys } = JSON.parse(text) as { keys?: unknown };
    return Array.isArray(keys) ? keys : null;
  } catch {
    return null;
  }
}

function failure(url: string, problem: string, hint?: string): JwtctlError {
  return new JwtctlError('ERR_PUBLISH_URL_UNREACHABLE', `${url} ${problem}.`, { hint });
}
