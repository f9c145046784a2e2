import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'vitest';
import { get, type Served } from './served.js';
import { basic, bearer, CLIENT, clientSetting } from './serving.js';

/** The environment of a server that knows {@link CLIENT}. */
export const CLIENTS = { JWTCTL_SERVE_CLIENTS: JSON.stringify([settingOf(clientSetting(CLIENT))]) };

/** The setting without what is null. */
function settingOf(setting: object): object {
  return Object.fromEntries(Object.entries(setting).filter(([, value]) => value !== null));
}

export interface Answer {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: a test states the shape that it expects
  body: any;
}

async function post({ port }: Served, path: string, payload: URLSearchParams | object): Promise<Answer> {
  const isForm = payload instanceof URLSearchParams;
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, {
    method: 'POST',
    headers: {
      ...basic(CLIENT),
      'content-type': isForm ? 'application/x-www-form-urlencoded' : 'application/json',
    },
    body: isForm ? payload : JSON.stringify(payload),
  });
  return { status: answer.status, body: await answer.json() };
}

export const refresh = (served: Served, refresh_token: string) =>
  post(served, '/token', new URLSearchParams({ grant_type: 'refresh_token', refresh_token }));

export async function logIn(served: Served, sub = 'alice'): Promise<{ token: string; refreshToken: string }> {
  const { status, body } = await retried(() => post(served, '/v1/tokens', { sub, refresh: true }));
  expect(status).toBe(201);
  return body;
}

/** During a failover, a store may be unavailable. */
export async function retried(work: () => Promise<Answer>): Promise<Answer> {
  for (;;) {
    const answer = await work();
    if (answer.status !== 503) return answer;
    await delay(20);
  }
}

/** Resolves with the milliseconds until all of these servers refuse the tokens. */
export async function refusedAfter(servers: readonly Served[], tokens: readonly string[]): Promise<number> {
  const since = performance.now();
  await Promise.all(
    servers.flatMap(({ port }) =>
      tokens.map(async (token) => {
        while ((await get(port, '/verify', bearer(token))).status === 200) await delay(10);
      }),
    ),
  );
  return performance.now() - since;
}
