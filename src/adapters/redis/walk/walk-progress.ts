import type { WalkProgress } from '../../../domain/ports/index.js';
import { HASH_SLOTS } from '../keyspace.js';
import { formatSlots } from './slot-view.js';

export class SlotProgress {
  readonly #states = new Uint8Array(HASH_SLOTS);
  readonly #losses = new Map<number, string>();
  #done = 0;

  get progress(): WalkProgress {
    return { unit: 'slots', done: this.#done, total: HASH_SLOTS };
  }

  pending(): number[] {
    const slots: number[] = [];
    for (let slot = 0; slot < HASH_SLOTS; slot++) if (this.isPending(slot)) slots.push(slot);
    return slots;
  }

  isPending(slot: number): boolean {
    return this.#states[slot] === PENDING;
  }

  /** Begun slots cannot be walked again: subjects that were passed on would repeat. */
  begin(slots: Iterable<number>): void {
    for (const slot of slots) this.#states[slot] = BEGUN;
  }

  finish(slots: Iterable<number>): void {
    for (const slot of slots) {
      if (this.#states[slot] === DONE) continue;
      this.#states[slot] = DONE;
      this.#done += 1;
    }
  }

  lose(slots: Iterable<number>, reason: string): void {
    for (const slot of slots) this.#losses.set(slot, reason);
  }

  missed(reasonFor: (slot: number) => string): string[] {
    const byReason = new Map<string, number[]>();
    for (let slot = 0; slot < HASH_SLOTS; slot++) {
      if (this.#states[slot] === DONE) continue;
      const reason = this.#losses.get(slot) ?? reasonFor(slot);
      const slots = byReason.get(reason);
      if (slots === undefined) byReason.set(reason, [slot]);
      else slots.push(slot);
    }
    return [...byReason].map(([reason, slots]) => `${formatSlots(slots)} (${reason})`);
  }
}

const PENDING = 0;
const BEGUN = 1;
const DONE = 2;
