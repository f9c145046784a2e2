import type { VerifierAnnouncement } from '../../domain/ports.js';
import type { JsonObject } from '../view.js';

/** Who it is, and how long it has been since it read the database. */
export function verifierData(verifier: VerifierAnnouncement): JsonObject {
  const { id, host, pid, startedAt, readAt, at } = verifier;
  return { id, host, pid, startedAt, readAt, announcedAt: at };
}
