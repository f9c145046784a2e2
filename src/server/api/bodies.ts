import type { FastifyInstance } from 'fastify';
import { parseJsonObject } from '../../domain/jose/jws.js';
import { JwtctlError } from '../../domain/shared/errors.js';
import { isDeeper, MOST_LEVELS } from '../../domain/shared/json-depth.js';
import { assertExactNumbers, parseSpelled, stringifySpelled } from '../../domain/shared/json-numbers.js';
import { duplicateMember } from './duplicate-member.js';
import { invalidRequest, unreadableRequest } from './failures.js';

/** Registers the types of bodies that the API reads. All others get 415. */
export function readBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    'application/x-www-form-urlencoded',
    { parseAs: 'string' },
    (_request, body, parsed) => {
      parsed(null, new URLSearchParams(String(body)));
    },
  );
  app.addContentTypeParser(
    'application/json',
    { parseAs: 'buffer' },
    async (_request: unknown, body: Buffer) => readJson(body),
  );
}

function readJson(bytes: Buffer): Record<string, unknown> {
  const body = parseJsonObject(bytes);
  if (body === null) throw unreadableRequest('The body is not a JSON object.');
  if (isDeeper(body, MOST_LEVELS))
    throw unreadableRequest(`The body is nested more than ${MOST_LEVELS} levels deep.`);
  const text = bytes.toString();
  const duplicate = duplicateMember(text);
  if (duplicate !== null) throw invalidRequest(duplicate, 'The body has this member twice.');
  try {
    assertExactNumbers(text, 'The body');
  } catch (error) {
    if (!(error instanceof JwtctlError)) throw error;
    throw invalidRequest(inexactMember(text), `${error.message} ${error.hint}`);
  }
  return body;
}

function inexactMember(json: string): string {
  const body = parseSpelled(json) as Record<string, unknown>;
  const isInexact = (value: unknown) => {
    try {
      assertExactNumbers(stringifySpelled(value), 'The member');
      return false;
    } catch {
      return true;
    }
  };
  return Object.keys(body).find((member) => isInexact(body[member])) ?? '';
}
