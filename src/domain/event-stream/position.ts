import type { AuditHead } from '../ports/index.js';

/**
 * A place in the stream: after the audit row `seq`. `hash` is the beginning of that row's hash, so a position of another
 * history, such as that of a database restored since, is noticed. It is empty if only the number is known.
 */
export type StreamPosition = AuditHead;

/** Before the oldest row that is left. */
export const BEGINNING: StreamPosition = { seq: 0, hash: '' };

const HASH_CHARACTERS = 16;

/** Returns `482-9f3c21d0aa11bb22`, or `482` if only the number is known. */
export function positionText({ seq, hash }: StreamPosition): string {
  return seq === 0 || hash === '' ? String(seq) : `${seq}-${hash.slice(0, HASH_CHARACTERS)}`;
}

/** Accepts a position, or only the number of a row. Returns null for other text. */
export function parsePosition(text: string): StreamPosition | null {
  const [, seq, hash = ''] = /^(\d{1,15})(?:-([0-9a-f]{16}))?$/.exec(text) ?? [];
  return seq === undefined ? null : { seq: Number(seq), hash };
}

/** Compares a row with what a position says about it. */
export function isAt({ seq, hash }: AuditHead, position: StreamPosition): boolean {
  return seq === position.seq && hash.startsWith(position.hash);
}
