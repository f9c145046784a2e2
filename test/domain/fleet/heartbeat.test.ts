import { expect, test } from 'vitest';
import { formatHeartbeat, parseHeartbeat } from '../../../src/domain/fleet/heartbeat.js';
import { heartbeatOf } from '../../support/heartbeats.js';

test('a verifier of an earlier version, which counts no refused tokens, is running', () => {
  const { refused: _, ...earlier } = heartbeatOf('a', 1_000);
  expect(parseHeartbeat(JSON.stringify(earlier))).toEqual({ ...earlier, refused: 0 });
});

test.each([-1, 1.5, '1', null])('a heartbeat with %j refused tokens is from no verifier', (refused) => {
  expect(
    parseHeartbeat(formatHeartbeat({ ...heartbeatOf('a', 1_000), refused: refused as number })),
  ).toBeNull();
});
