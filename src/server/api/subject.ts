import type { FastifyRequest } from 'fastify';
import { parseSubject } from '../../domain/model/subject.js';

/** Reads the subject from the path, or from the query for subjects that a path cannot carry (`.` and `..`). */
export function subjectOf({ params, query }: FastifyRequest): string {
  const { sub } = { ...(query as { sub?: string }), ...(params as { sub?: string }) };
  return parseSubject(String(sub));
}
