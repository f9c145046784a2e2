import { describe, expect, test } from 'vitest';
import { formatSlots, isSettled, parseSlotView } from '../../../../src/adapters/redis/walk/slot-view.js';

const NODES = [
  'aaa 127.0.0.1:7001@17001,host master - 0 1763880000 2 connected 5461-10922',
  'bbb 127.0.0.1:7000@17000 myself,master - 0 0 1 connected 0-2 7 9-10 [9->-aaa] [11-<-aaa]',
  'ccc 127.0.0.1:7002@17002 slave bbb 0 1763880000 1 connected',
  '',
].join('\n');

describe('parseSlotView', () => {
  test("reads the node's own slots and the targets of migrating ones", () => {
    const view = parseSlotView(NODES);
    expect(view.id).toBe('bbb');
    expect([...view.owned.keys()].filter((slot) => view.owned[slot])).toEqual([0, 1, 2, 7, 9, 10]);
    expect([...view.leaving]).toEqual([[9, 'aaa']]);
  });

  test('a slot is settled if it is served and not migrating', () => {
    const view = parseSlotView(NODES);
    expect([7, 9, 10, 11, 5461].map((slot) => isSettled(view, slot))).toEqual([
      true,
      false,
      true,
      false,
      false,
    ]);
  });

  test('a replica serves no slots', () => {
    const view = parseSlotView('bbb 127.0.0.1:7000@17000 myself,slave aaa 0 0 1 connected\n');
    expect(view.owned.includes(1)).toBe(false);
  });
});

test('formats slots as ranges', () => {
  expect(formatSlots([5])).toBe('slot 5');
  expect(formatSlots([0, 1, 2, 7, 9, 10])).toBe('slots 0-2, 7, 9-10');
});
