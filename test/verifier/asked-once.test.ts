import { afterEach, beforeEach, expect, test } from 'vitest';
import { askedOnce } from '../../src/verifier/asked-once.js';
import { type EmbeddedStores, openEmbeddedStores } from '../support/embedded.js';

let stores: EmbeddedStores;
beforeEach(async () => {
  stores = await openEmbeddedStores();
});
afterEach(() => stores.close());

test('asks each store once for the same question', async () => {
  const { database, registry } = stores;
  const { keys, securityLog, users } = database;
  const asked: string[] = [];
  const asking = <Answer>(question: string, answer: Answer) => {
    asked.push(question);
    return answer;
  };
  const {
    keys: onceKeys,
    securityLog: onceLog,
    users: onceUsers,
  } = askedOnce({
    keys: { snapshot: () => asking('keys', keys.snapshot()) },
    securityLog: {
      findConcerning: (token) => asking(`events of ${token.jti}`, securityLog.findConcerning(token)),
      findNaming: (tokens) => securityLog.findNaming(tokens),
    },
    users: { find: (sub) => asking(sub, users.find(sub)) },
    registry,
  });
  await users.add({ sub: 'alice', name: null, at: 1 });
  const token = { sub: 'alice', jti: 'j1', kid: 'k1' };
  for (const more of [{}, { iat: 1 }]) {
    expect(await onceKeys.snapshot()).toMatchObject({ keys: [] });
    expect(await onceLog.findConcerning({ ...token, ...more })).toEqual([]);
    expect(await onceUsers.find('alice')).toMatchObject({ status: 'enabled' });
  }
  await onceLog.findConcerning({ ...token, jti: 'j2' });
  expect(asked).toEqual(['keys', 'events of j1', 'alice', 'events of j2']);
});
