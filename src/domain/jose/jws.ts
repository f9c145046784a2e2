import { isUtf8 } from 'node:buffer';
import { freeze } from '../shared/deep-freeze.js';
import { isDeeper, MOST_LEVELS } from '../shared/json-depth.js';
import { parseSpelled } from '../shared/json-numbers.js';

/** RFC 7515 §7.1. Nothing is verified. */
export interface CompactJws {
  /** Frozen, because tokens share it. */
  header: Record<string, unknown>;
  payload: Uint8Array;
  /** ASCII of `header.payload`, which the signature covers. */
  signingInput: string;
  signature: Uint8Array;
}

// Far above any Claims Set that fits a request header, and small enough for memory.
export const MAX_TOKEN_CHARACTERS = 16_384;
const BASE64URL = /^[A-Za-z0-9_-]*$/;

/** Returns the reason if `token` is not a JWS in Compact Serialization. */
export function parseCompactJws(token: string): CompactJws | string {
  // A JavaScript caller may pass undefined.
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
  // A slice avoids copying the parts again.
  const signingInput = token.slice(0, encodedHeader.length + 1 + encodedPayload.length);
  return { header, payload, signingInput, signature };
}

/** Parsed headers by their text. There are about as many as keys. */
const headers = new Map<string, Record<string, unknown>>();
const MOST_HEADERS = 100;

function readHeader(encoded: string): Record<string, unknown> | string {
  const bytes = decodeBase64url(encoded);
  if (bytes === null) return 'its JOSE Header is not base64url';
  const header = parseJsonObject(bytes);
  if (header === null) return 'its JOSE Header is not a JSON object';
  // Limits the memory if clients invent headers.
  if (headers.size >= MOST_HEADERS) headers.clear();
  // A slice would keep the whole token in memory.
  headers.set(Buffer.from(encoded).toString(), freeze(header));
  return header;
}

/** Returns the reason if the token is malformed. Verifies nothing, and keeps the digits of the payload's numbers. */
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
  const spelled = parseJsonObject(jws.payload, parseSpelled) ?? payload;
  return { header: jws.header, payload: spelled, signature: encodeBase64url(jws.signature) };
}

export function parseJsonObject(
  bytes: Uint8Array,
  parse: (json: string) => unknown = JSON.parse,
): Record<string, unknown> | null {
  if (!isUtf8(bytes)) return null;
  try {
    const value = parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString());
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

/** Accepts only the canonical form (RFC 4648 §3.5), so a revoked token has no second spelling. */
function decodeBase64url(text: string): Buffer | null {
  if (!BASE64URL.test(text) || !LAST_CHARACTERS[text.length % 4]?.test(text)) return null;
  return Buffer.from(text, 'base64url');
}

/** The allowed last characters by length modulo 4. A single one encodes no byte, and unused bits are zero. */
const LAST_CHARACTERS = [/^/, /^(?!)/, /[AQgw]$/, /[AEIMQUYcgkosw048]$/];
