import { isUtf8 } from 'node:buffer';
import { freeze } from '../shared/deep-freeze.js';

/** JWS in Compact Serialization (RFC 7515 §7.1), read strictly and without trust. */
export interface CompactJws {
  /** The JOSE Header; frozen, for tokens share it. */
  header: Record<string, unknown>;
  payload: Uint8Array;
  /** ASCII of `header.payload` as it was sent: what the signature covers. */
  signingInput: string;
  signature: Uint8Array;
}

// Far above any Claims Set that belongs in a request header, far below what costs memory.
export const MAX_TOKEN_CHARACTERS = 16_384;
const BASE64URL = /^[A-Za-z0-9_-]*$/;

/** @returns the parts, or in words why `token` is no JWS in Compact Serialization */
export function parseCompactJws(token: string): CompactJws | string {
  // A caller in JavaScript hands on what its request did not have.
  if (typeof token !== 'string') return 'it is not a string';
  if (token === '') return 'it is empty';
  if (token.length > MAX_TOKEN_CHARACTERS) return `it is longer than ${MAX_TOKEN_CHARACTERS} characters`;
  const parts = token.split('.');
  if (parts.length !== 3)
    return `it has ${parts.length === 1 ? 'one part' : `${parts.length} parts`} instead of 3`;
  const [encodedHeader, encodedPayload, encodedSignature] = parts as [string, string, string];
  const header = headers.get(encodedHeader) ?? readHeader(encodedHeader);
  const payload = decodeBase64url(encodedPayload);
  const signature = decodeBase64url(encodedSignature);
  if (typeof header === 'string') return header;
  if (payload === null) return 'its payload is not base64url';
  if (signature === null) return 'its signature is not base64url';
  // A slice: joining the parts again would copy them once more.
  const signingInput = token.slice(0, encodedHeader.length + 1 + encodedPayload.length);
  return { header, payload, signingInput, signature };
}

/** Those that were read, by their text: there are as many as keys, and a token for each would be read again and again. */
const headers = new Map<string, Record<string, unknown>>();
const MOST_HEADERS = 100;

function readHeader(encoded: string): Record<string, unknown> | string {
  const bytes = decodeBase64url(encoded);
  if (bytes === null) return 'its JOSE Header is not base64url';
  const header = parseJsonObject(bytes);
  if (header === null) return 'its JOSE Header is not a JSON object';
  // Whoever invents headers has others read again, and no more.
  if (headers.size >= MOST_HEADERS) headers.clear();
  // A copy: the text may be a part of a token that is long forgotten otherwise.
  headers.set(Buffer.from(encoded).toString(), freeze(header));
  return header;
}

/** A JWT's parts as they are, nothing checked but the form; or in words why it has none. */
export function decodeToken(
  token: string,
): { header: Record<string, unknown>; payload: Record<string, unknown>; signature: string } | string {
  const jws = parseCompactJws(token);
  if (typeof jws === 'string') return jws;
  const payload = parseJsonObject(jws.payload);
  if (payload === null) return 'its payload is not a JSON object';
  if (isDeeper(jws.header, MOST_LEVELS))
    return `its JOSE Header is nested more than ${MOST_LEVELS} levels deep`;
  if (isDeeper(payload, MOST_LEVELS)) return `its payload is nested more than ${MOST_LEVELS} levels deep`;
  return { header: jws.header, payload, signature: encodeBase64url(jws.signature) };
}

/** What a stranger nests deeper cannot be shown: JSON.stringify goes through it by recursion. */
const MOST_LEVELS = 100;

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((member) => isDeeper(member, levels - 1));
}

/** The JSON object that `bytes` hold as UTF-8, or null where they hold anything else. */
export function parseJsonObject(bytes: Uint8Array): Record<string, unknown> | null {
  if (!isUtf8(bytes)) return null;
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString());
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null;
  } catch {
    return null;
  }
}

export function encodeBase64url(data: Uint8Array | string): string {
  return Buffer.from(data as Uint8Array).toString('base64url');
}

/**
 * Only the canonical form (RFC 4648 §3.5: unused bits are zero, no padding, no line breaks), so that one token has one
 * spelling: what is remembered or revoked by its text cannot return in another.
 */
function decodeBase64url(text: string): Buffer | null {
  if (!BASE64URL.test(text) || !LAST_CHARACTERS[text.length % 4]?.test(text)) return null;
  return Buffer.from(text, 'base64url');
}

/** What the last character can be, by how many there are beyond whole fours: one alone is no byte, and unused bits are zero. */
const LAST_CHARACTERS = [/^/, /^(?!)/, /[AQgw]$/, /[AEIMQUYcgkosw048]$/];
