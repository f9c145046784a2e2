import type { FastifyInstance } from 'fastify';
import { beforeEach, expect } from 'vitest';
import { basic, bearer, type Client } from './serving.js';
import type { Stores } from './stores.js';

/** Gives each test a new name, and adds the user unless `isAdded` is false. */
export function newUserForEachTest(
  stores: () => Stores,
  use: (sub: string, number: number) => void,
  { isAdded = true } = {},
): void {
  let users = 0;
  beforeEach(async () => {
    users += 1;
    const sub = `user ${users}`;
    use(sub, users);
    if (isAdded) await stores().json('users', 'add', sub);
    // Revocations of an earlier test cover tokens of the same second.
    stores().clock.advance(2);
  });
}

export interface Session {
  token: string;
  jti: string;
  refreshToken: string;
}

/** Begins a session as an application does. */
export async function logIn(
  app: FastifyInstance,
  client: Client,
  payload: { sub: string } & Record<string, unknown>,
): Promise<Session> {
  const body = { refresh: true, ...payload };
  const answer = await app.inject({
    method: 'POST',
    url: '/v1/tokens',
    payload: body,
    headers: basic(client),
  });
  expect(answer.statusCode).toBe(201);
  return answer.json();
}

export async function isActive(app: FastifyInstance, token: string): Promise<boolean> {
  return (await app.inject({ url: '/verify', headers: bearer(token) })).statusCode === 200;
}
