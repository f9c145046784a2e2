import { HASH_SLOTS } from '../keyspace.js';

export interface SlotView {
  id: string;
  owned: Uint8Array;
  /** Slots that are migrating, and the id of the target, which already has some of their keys. */
  leaving: Map<number, string>;
}

/** Parses the `myself` line of CLUSTER NODES, the only one with migrating slots. */
export function parseSlotView(clusterNodes: string): SlotView {
  const view: SlotView = { id: '', owned: new Uint8Array(HASH_SLOTS), leaving: new Map() };
  const line = clusterNodes.split('\n').find((candidate) => candidate.split(' ', 3)[2]?.includes('myself'));
  if (line === undefined) return view;
  const [id = '', , , , , , , , ...ranges] = line.trim().split(' ');
  view.id = id;
  for (const range of ranges) {
    const moving = /^\[(\d+)-([<>])-(\w+)\]$/.exec(range);
    if (moving !== null) {
      const [, slot, direction, peer = ''] = moving;
      if (direction === '>') view.leaving.set(Number(slot), peer);
      continue;
    }
    const [first = 0, last = first] = range.split('-').map(Number);
    view.owned.fill(1, first, last + 1);
  }
  return view;
}

export function isSettled(view: SlotView, slot: number): boolean {
  return view.owned[slot] === 1 && !view.leaving.has(slot);
}

export function formatSlots(slots: readonly number[]): string {
  const ranges: Array<[number, number]> = [];
  for (const slot of slots) {
    const last = ranges.at(-1);
    if (last !== undefined && slot === last[1] + 1) last[1] = slot;
    else ranges.push([slot, slot]);
  }
  const texts = ranges.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`));
  return `${slots.length === 1 ? 'slot' : 'slots'} ${texts.join(', ')}`;
}
