import type { WalkProgress } from '../../../domain/ports/index.js';
import { HASH_SLOTS } from '../keyspace.js';
import { formatSlots } from './slot-view.js';

/** What a walk knows of each hash slot. */
export class SlotProgress {
  readonly #states = new Uint8Array(HASH_SLOTS);
  readonly #losses = new Map<number, string>();
  #done = 0;

  get progress(): WalkProgress {
    return { unit: 'slots', done: this.#done, total: HASH_SLOTS };
  }

  /** The slots that can still be walked, ascending. */
  pending(): number[] {
    const slots: number[] = [];
    for (let slot = 0; slot < HASH_SLOTS; slot++) if (this.isPending(slot)) slots.push(slot);
    return slots;
  }

  isPending(slot: number): boolean {
    return this.#states[slot] === PENDING;
  }

  /** From here on something of them may have been shown. Nothing may be shown twice: unless they get done they are lost. */
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

  /** Why slots that had been begun will not get done. */
  lose(slots: Iterable<number>, reason: string): void {
    for (const slot of slots) this.#losses.set(slot, reason);
  }

  /**
   * The slots that are not done, for a person: `slots 0-5460 (127.0.0.1:7001: connection refused)`.
   *
   * @param reasonFor why a slot is not, where it was not lost
   */
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
