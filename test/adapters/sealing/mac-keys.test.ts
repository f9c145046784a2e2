import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { parseKeyring } from '../../../src/adapters/sealing/keyring.js';
import { MacKeys } from '../../../src/adapters/sealing/mac-keys.js';
import { MasterKeys } from '../../../src/adapters/sealing/master-keys.js';
import { ManualClock } from '../../support/clock.js';

const line = () => randomBytes(32).toString('base64');

test('a running process follows a change of the first master key within a minute', async () => {
  const clock = new ManualClock(1_800_000_000);
  const [before, after] = [line(), line()];
  let text = before;
  const source = { kind: 'command', run: async () => text } as const;
  const onFailure = (error: Error) => {
    throw error;
  };
  const keys = new MacKeys(new MasterKeys(source, clock), { purpose: 'test', clock, onFailure });
  expect((await keys.current())?.id).toBe(parseKeyring(before, 'text')[0].id);

  text = after;
  clock.advance(61);
  expect((await keys.current())?.id).toBe(parseKeyring(after, 'text')[0].id);
});
