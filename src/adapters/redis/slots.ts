import { setTimeout as delay } from 'node:timers/promises';
import type { WalkOptions } from '../../domain/ports.js';
import type { RedisNode } from './connect.js';
import { replyCode } from './errors.js';
import { HASH_SLOTS } from './keyspace.js';
import { type Command, sendPipeline, unwrap } from './pipeline.js';
import { INTERRUPTED, scanSubjects } from './scan.js';
import { formatSlots, isSettled, parseSlotView, type SlotView } from './slot-view.js';
import type { TakeSubjects, WalkOutcome, WholeRegistry } from './walk.js';

/** One walk over all slots: see {@link walkSubjects}. */
export class SlotWalk {
  readonly #whole: WholeRegistry;
  readonly #take: TakeSubjects;
  readonly #signal: AbortSignal | undefined;
  readonly #onProgress: WalkOptions['onProgress'];
  readonly #states = new Uint8Array(HASH_SLOTS);
  /** Why the slots of a master, by its name, were not seen. */
  readonly #failures = new Map<string, string>();

  constructor(
    whole: WholeRegistry,
    take: TakeSubjects,
    { signal, onProgress }: Pick<WalkOptions, 'signal' | 'onProgress'>,
  ) {
    this.#whole = whole;
    this.#take = take;
    this.#signal = signal;
    this.#onProgress = onProgress;
  }

  async run(): Promise<WalkOutcome> {
    const { connection } = this.#whole;
    let masters = await this.#findMasters();
    let giveUpAt = Number.POSITIVE_INFINITY;
    for (let pass = 1; ; pass++) {
      await Promise.all(masters.map((master) => this.#walkMaster(master)));
      for (const slot of this.#pending()) await this.#walkMoving(slot, masters);
      if (this.#pending().length === 0 || this.#signal?.aborted) break;

      // A failover takes a while, and so does the news of a slot's new owner.
      giveUpAt = Math.min(giveUpAt, Date.now() + connection.timeoutMs);
      if (pass === MAX_PASSES || Date.now() >= giveUpAt) break;
      await delay(Math.min(100 * 2 ** pass, connection.timeoutMs / MAX_PASSES));
      await connection.refresh();
      masters = await this.#findMasters();
    }
    return {
      missed: this.#missed(),
      masters: masters
        .map(({ node, view }) => ({ node, slots: view.owned.reduce((sum, isOwned) => sum + isOwned, 0) }))
        .filter(({ slots }) => slots > 0),
    };
  }

  async #findMasters(): Promise<Master[]> {
    const { connection } = this.#whole;
    const candidates = connection.nodes().filter(({ isMaster }) => isMaster);
    const found = await Promise.all(
      candidates.map(async (node) => {
        try {
          const [reply] = await sendPipeline(node.client, [CLUSTER_NODES], connection.timeoutMs);
          return { node, view: parseSlotView(String(unwrap(reply))) };
        } catch (error) {
          if (replyCode(error) !== null) throw connection.translate(error);
          this.#fail(node, error);
          return null;
        }
      }),
    );
    return found.filter((master) => master !== null);
  }

  async #walkMaster({ node, view }: Master): Promise<void> {
    const slots = this.#pending().filter((slot) => isSettled(view, slot));
    const crowded: number[] = [];
    let before = view;
    try {
      for (let from = 0; from < slots.length && !this.#signal?.aborted; from += SLOTS_PER_STEP) {
        const step = slots.slice(from, from + SLOTS_PER_STEP).filter((slot) => isSettled(before, slot));
        before = await this.#walkStep(node, step, KEYS_PER_SLOT, crowded);
      }
      const overfull: number[] = [];
      for (const slot of crowded) {
        if (this.#signal?.aborted) return;
        if (isSettled(before, slot))
          before = await this.#walkStep(node, [slot], KEYS_PER_CROWDED_SLOT, overfull);
      }
      if (overfull.length > 0) await this.#scanSlots(node, overfull);
    } catch (error) {
      if (FORBIDDEN.has(replyCode(error) ?? '')) return this.#scanSlots(node, slots);
      this.#fail(node, error);
    }
  }

  /** Reads some slots of a master. Those with `limit` keys or more are put into `crowded` instead. */
  async #walkStep(node: RedisNode, slots: number[], limit: number, crowded: number[]): Promise<SlotView> {
    const replies = await sendPipeline(
      node.client,
      [...slots.map((slot): Command => ['cluster', 'getkeysinslot', slot, limit]), CLUSTER_NODES],
      this.#whole.connection.timeoutMs,
    );
    const after = parseSlotView(String(unwrap(replies.at(-1))));
    const seen: string[][] = [];
    const read: number[] = [];
    for (const [index, slot] of slots.entries()) {
      const keys = unwrap(replies[index]) as string[];
      if (!isSettled(after, slot)) continue;
      if (keys.length >= limit) {
        crowded.push(slot);
        continue;
      }
      read.push(slot);
      seen.push(this.#subjectsOf(keys));
    }
    await this.#takeAll(node, seen.flat(), read);
    return after;
  }

  /** A slot on its way: first what is left where it comes from, then what has arrived. */
  async #walkMoving(slot: number, masters: readonly Master[]): Promise<void> {
    const source = masters.find(({ view }) => view.leaving.has(slot));
    const target = masters.find(({ view }) => view.id === source?.view.leaving.get(slot));
    if (source === undefined || target === undefined || this.#signal?.aborted) return;
    const command: Command = ['cluster', 'getkeysinslot', slot, KEYS_PER_CROWDED_SLOT];
    const { timeoutMs } = this.#whole.connection;
    try {
      const [left] = await sendPipeline(source.node.client, [command], timeoutMs);
      const [arrived] = await sendPipeline(target.node.client, [command], timeoutMs);
      const [nodes] = await sendPipeline(source.node.client, [CLUSTER_NODES], timeoutMs);
      const keys = new Set([...(unwrap(left) as string[]), ...(unwrap(arrived) as string[])]);
      const isStillMoving = parseSlotView(String(unwrap(nodes))).leaving.get(slot) === target.view.id;
      if (isStillMoving) await this.#takeAll(source.node, this.#subjectsOf([...keys]), [slot]);
    } catch (error) {
      this.#fail(source.node, error);
    }
  }

  /** One SCAN for slots that cannot be listed: the service forbids it, or others keep millions of keys in them. */
  async #scanSlots(node: RedisNode, slots: readonly number[]): Promise<void> {
    const { connection, keyspace } = this.#whole;
    const wanted = new Set(slots.filter((slot) => this.#states[slot] === PENDING));
    try {
      for await (const found of scanSubjects(this.#whole, node)) {
        if (this.#signal?.aborted) return;
        const subjects = found.filter((sub) => wanted.has(keyspace.keysOf(sub).slot));
        // What was shown cannot be shown again, so from the first subject on these slots have this one chance.
        await this.#takeAll(
          node,
          subjects,
          [...new Set(subjects.map((sub) => keyspace.keysOf(sub).slot))],
          LOST,
        );
      }
      const [nodes] = await sendPipeline(node.client, [CLUSTER_NODES], connection.timeoutMs);
      const after = parseSlotView(String(unwrap(nodes)));
      for (const slot of wanted) if (isSettled(after, slot)) this.#states[slot] = DONE;
      this.#tellProgress();
    } catch (error) {
      this.#fail(node, error);
    }
  }

  async #takeAll(
    node: RedisNode,
    subjects: readonly string[],
    slots: readonly number[],
    then = DONE,
  ): Promise<void> {
    // Nothing may be shown twice: until all of it has been taken, these slots are lost.
    for (const slot of slots) this.#states[slot] = LOST;
    for (let from = 0; from < subjects.length; from += SUBJECTS_PER_TAKE) {
      if (this.#signal?.aborted) return;
      await this.#take(node, subjects.slice(from, from + SUBJECTS_PER_TAKE));
    }
    for (const slot of slots) this.#states[slot] = then;
    this.#tellProgress();
  }

  #tellProgress(): void {
    const done = this.#states.reduce((sum, state) => sum + Number(state === DONE), 0);
    this.#onProgress?.({ unit: 'slots', done, total: HASH_SLOTS });
  }

  #subjectsOf(keys: readonly string[]): string[] {
    return keys.map((key) => this.#whole.keyspace.subjectOf(key)).filter((sub) => sub !== null);
  }

  #pending(): number[] {
    const slots: number[] = [];
    for (let slot = 0; slot < HASH_SLOTS; slot++) if (this.#states[slot] === PENDING) slots.push(slot);
    return slots;
  }

  #fail(node: RedisNode, error: unknown): void {
    this.#failures.set(node.name, this.#whole.connection.reasonFor(node.name, error));
  }

  #missed(): string[] {
    const byReason = new Map<string, number[]>();
    for (let slot = 0; slot < HASH_SLOTS; slot++) {
      if (this.#states[slot] === DONE) continue;
      const owner = this.#whole.connection.ownerName(slot);
      const failure = owner === undefined ? undefined : this.#failures.get(owner);
      const reason = this.#signal?.aborted
        ? INTERRUPTED
        : owner === undefined
          ? 'served by no master'
          : `${owner}: ${failure ?? 'the slot was moving'}`;
      const slots = byReason.get(reason);
      if (slots === undefined) byReason.set(reason, [slot]);
      else slots.push(slot);
    }
    return [...byReason].map(([reason, slots]) => `${formatSlots(slots)} (${reason})`);
  }
}

interface Master {
  node: RedisNode;
  view: SlotView;
}

const PENDING = 0;
const DONE = 1;
const LOST = 2;

const CLUSTER_NODES: Command = ['cluster', 'nodes'];
/** What a service answers to a command that it does not offer. */
const FORBIDDEN = new Set(['NOPERM', 'ERR']);

const MAX_PASSES = 5;
const SLOTS_PER_STEP = 128;
/** Ten million subjects put some 600 into a slot. */
const KEYS_PER_SLOT = 1000;
const KEYS_PER_CROWDED_SLOT = 200_000;
const SUBJECTS_PER_TAKE = 500;
