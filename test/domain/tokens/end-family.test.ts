import { expect, onTestFinished, test } from 'vitest';
import type { Removal } from '../../../src/domain/ports/index.js';
import { endMany, familyEnd } from '../../../src/domain/tokens/end-family.js';
import { MOST_ENDS } from '../../../src/domain/tokens/record-ends.js';
import { openEmbeddedService, POLICY } from '../../support/embedded-service.js';

test('ending many sessions waits for the registry once, not once per transaction', {
  timeout: 10_000,
}, async () => {
  const service = await openEmbeddedService();
  onTestFinished(() => service.close());
  const count = MOST_ENDS + 1;
  let answer: (removal: Removal) => void = () => {};
  const answered = new Promise<Removal>((resolve) => {
    answer = resolve;
  });
  let removals = 0;
  const ports = service.withRegistry({
    remove: () => {
      removals += 1;
      // Hangs until all were asked for.
      if (removals === count) answer({ removed: 0, families: 0, replicasConfirmed: null });
      return answered;
    },
  });
  const row = { action: 'token.revoke', outcome: 'done', reason: null };
  const ends = Array.from({ length: count }, (_, index) =>
    familyEnd({ ...row, sub: `user-${index}`, family: 'f' }),
  );
  expect(await endMany(ports, POLICY, new Map(ends.map((end) => [end.sub, end])))).toEqual(new Map());
});
