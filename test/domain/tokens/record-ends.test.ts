import { expect, onTestFinished, test } from 'vitest';
import { type End, recordEnds } from '../../../src/domain/tokens/record-ends.js';
import { openEmbeddedService, POLICY } from '../../support/embedded-service.js';

test('returns the highest ID of its events, even if the last one was known', async () => {
  const service = await openEmbeddedService();
  onTestFinished(() => service.close());
  const end = (jti: string): End => ({
    ...{ action: 'token.revoke', outcome: 'done', reason: null, target: `alice ${jti}` },
    event: { type: 'token_revoked', sub: 'alice', jti },
  });
  const first = await recordEnds(service.ports, POLICY, [end('a')]);
  const second = await recordEnds(service.ports, POLICY, [end('b'), end('a')]);
  expect(second).toBeGreaterThan(first);
  expect(await recordEnds(service.ports, POLICY, [end('b'), end('a')])).toBe(second);
});
