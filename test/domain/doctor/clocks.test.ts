import { expect, test } from 'vitest';
import type { DoctorPorts } from '../../../src/domain/doctor/check.js';
import { clocks } from '../../../src/domain/doctor/checks/clocks.js';
import { ManualClock } from '../../support/clock.js';

test('finds a clock that is ahead although another server took ten seconds not to answer', async () => {
  const clock = new ManualClock(1_790_000_000);
  const ports = {
    clock,
    policy: { clockToleranceSeconds: 5 },
    database: async () => ({ server: async () => null }),
    registry: async () => ({
      nodes: async () => {
        const askedMs = performance.now() - 10_000;
        const exchange = { askedMs, answeredMs: askedMs + 1 };
        const [right, ahead] = [clock.now(), clock.now() + 8];
        clock.advance(10);
        return [
          { node: 'right:7001', time: right, exchange },
          { node: 'ahead:7002', time: ahead, exchange },
          { node: 'away:7003', time: null, exchange: null },
        ];
      },
    }),
  };
  expect(await clocks.run(ports as unknown as DoctorPorts)).toEqual([
    expect.objectContaining({
      message: expect.stringMatching(/is [78]s behind the clock of Redis at ahead:7002/),
    }),
  ]);
});
