import { setTimeout as delay } from 'node:timers/promises';
import { INTERRUPTED } from '../../../domain/ports/registry-scanner.js';
import { JwtctlError } from '../../../domain/shared/errors.js';
import type { RedisNode } from '../cluster/redis-connection.js';
import type { LocatedSubject } from '../keyspace.js';
import type { RegistrySession } from '../session.js';
import { type BulkStrings, NO_BULK_STRINGS, stringAt } from '../wire/bulk-strings.js';
import { silenceMs } from '../wire/client-options.js';
import { bulkStringsIn } from '../wire/codec.js';
import { sendPipeline, unwrap } from '../wire/pipeline.js';
import { DeadlineError, fromNode, isVague, replyCode } from '../wire/redis-errors.js';
import { textIn } from '../wire/reply-shapes.js';
import { AdaptiveBatch } from './adaptive-batch.js';
import {
  CLUSTER_NODES,
  KEYS_PER_CROWDED_SLOT,
  keysInSlot,
  type Master,
  subjectsAmong,
} from './slot-listing.js';
import { isSettled, parseSlotView, type SlotView } from './slot-view.js';
import { readMovingSlot } from './walk-moving-slot.js';
import { SlotProgress } from './walk-progress.js';
import { scanSubjects } from './walk-single-server.js';
import type { TakeSubjects, WalkOutcome, WalkSteering } from './walk-types.js';

export class ClusterWalk {
  readonly #session: RegistrySession;
  readonly #take: TakeSubjects;
  readonly #steering: WalkSteering;
  readonly #slots = new SlotProgress();
  readonly #failures = new Map<string, string>();
  #firstFailure: Error | null = null;
  #isClusterDown = false;

  constructor(session: RegistrySession, take: TakeSubjects, steering: WalkSteering) {
    this.#session = session;
    this.#take = take;
    this.#steering = steering;
  }

  async run(): Promise<WalkOutcome> {
    const { connection } = this.#session;
    let giveUpAt = Date.now() + connection.timeoutMs;
    let masters = await this.#findMasters();
    // No master could list its slots. Asking again would take another full timeout.
    if (masters.length === 0 && !this.#isAborted)
      throw this.#firstFailure ?? connection.translate(new Error('No master is connected.'));
    for (let pass = 1; ; pass++) {
      const { done } = this.#slots.progress;
      await Promise.all(masters.map((master) => this.#walkMaster(master)));
      for (const slot of this.#slots.pending()) await this.#walkMovingSlot(slot, masters);
      if (this.#slots.pending().length === 0 || this.#isAborted || this.#isClusterDown) break;
      const advanced = this.#slots.progress.done > done;
      if (pass === MAX_PASSES || (Date.now() >= giveUpAt && !advanced)) break;
      await delay(Math.min(100 * 2 ** pass, connection.timeoutMs / MAX_PASSES));
      await connection.refresh();
      masters = await this.#findMasters();
      // A failover and the spread of new owners take time, so continue while slots get done.
      if (advanced && !this.#isCutOff(masters)) {
        pass = 0;
        giveUpAt = Date.now() + connection.timeoutMs;
      }
    }
    return {
      missed: this.#slots.missed((slot) => this.#reasonFor(slot, masters)),
      masters: masters
        .map(({ node, view }) => ({ node, slots: view.owned.reduce((sum, isOwned) => sum + isOwned, 0) }))
        .filter(({ slots }) => slots > 0),
    };
  }

  async #findMasters(): Promise<Master[]> {
    const { connection } = this.#session;
    const candidates = connection.nodes().filter(({ isMaster }) => isMaster);
    const found = await Promise.all(
      candidates.map(async (node) => {
        const breaker = connection.breaker(node.name);
        const ask = () => sendPipeline(node.client, [CLUSTER_NODES], connection.timeoutMs);
        const refusal = breaker.refusal(ask);
        if (refusal !== null) {
          this.#fail(node, refusal);
          return null;
        }
        const askedAt = Date.now();
        try {
          const [reply] = await ask();
          return { node, view: parseSlotView(textIn(unwrap(reply))) };
        } catch (thrown) {
          const waitedMs = Date.now() - askedAt;
          const isSilent = waitedMs >= 0.9 * silenceMs(connection.timeoutMs);
          // ioredis closes a silent connection without saying why.
          const error = isSilent && isVague(thrown) ? new DeadlineError(waitedMs) : thrown;
          const failure = connection.translate(fromNode(error, node.name)) as Error;
          if (replyCode(error) !== null) throw failure;
          if (isSilent) breaker.failed(failure);
          this.#fail(node, error);
          this.#firstFailure ??= failure;
          return null;
        }
      }),
    );
    const masters = found.filter((master) => master !== null);
    if (masters.length === 0 && connection.refusal !== null) throw connection.refusal;
    return masters;
  }

  async #walkMaster(master: Master): Promise<void> {
    const { node } = master;
    const slots = this.#slots.pending().filter((slot) => isSettled(master.view, slot));
    const crowded: number[] = [];
    const overfull: number[] = [];
    try {
      await this.#walkSlots(
        master,
        slots,
        { keysPerSlot: KEYS_PER_SLOT, slotsAtOnce: SLOTS_AT_ONCE },
        crowded,
      );
      await this.#walkSlots(
        master,
        crowded,
        { keysPerSlot: KEYS_PER_CROWDED_SLOT, slotsAtOnce: 1 },
        overfull,
      );
      if (overfull.length > 0) await this.#scanSlots(node, overfull);
    } catch (error) {
      if (FORBIDDEN.has(replyCode(error) ?? '')) return this.#scanSlots(node, slots, error);
      this.#fail(node, error);
    }
  }

  /** Keeps two steps in flight, so that server and client work in parallel. */
  async #walkSlots(
    master: Master,
    slots: readonly number[],
    { keysPerSlot, slotsAtOnce }: { keysPerSlot: number; slotsAtOnce: number },
    overLimit: number[],
  ): Promise<void> {
    const batch = new AdaptiveBatch({
      target: KEYS_AT_ONCE,
      first: Math.min(8, slotsAtOnce),
      most: slotsAtOnce,
    });
    let from = 0;
    let hasFailed = false;
    const walk = async (): Promise<void> => {
      while (from < slots.length && !hasFailed && !this.#isAborted) {
        const step = slots.slice(from, from + batch.size);
        from += step.length;
        try {
          await this.#walkStep(master, step, { keysPerSlot, batch }, overLimit);
        } catch (error) {
          hasFailed = true;
          throw error;
        }
      }
    };
    const outcomes = await Promise.allSettled([walk(), walk()]);
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  }

  async #walkStep(
    master: Master,
    step: readonly number[],
    { keysPerSlot, batch }: { keysPerSlot: number; batch: AdaptiveBatch },
    overLimit: number[],
  ): Promise<void> {
    const { node } = master;
    const { connection } = this.#session;
    const slots = step.filter((slot) => isSettled(master.view, slot));
    const replies = await connection
      .reading(node)
      .send([...slots.map((slot) => keysInSlot(slot, keysPerSlot)), CLUSTER_NODES], connection.timeoutMs);
    master.view = parseSlotView(stringAt(bulkStringsIn(replies.pop()), 0));
    const lists = replies.map(bulkStringsIn);
    batch.learn(
      slots.length,
      lists.reduce((sum, { count }) => sum + count, 0),
    );
    const { subjects, read, full } = this.#subjectsOf(master.view, slots, lists, keysPerSlot);
    overLimit.push(...full);
    await this.#takeAll(node, subjects, read);
  }

  /** Uses only slots that were settled before and after their keys were listed. */
  #subjectsOf(
    view: SlotView,
    slots: readonly number[],
    lists: readonly BulkStrings[],
    keysPerSlot: number,
  ): ListedSlots {
    const subjects: LocatedSubject[] = [];
    const read: number[] = [];
    const full: number[] = [];
    for (const [index, slot] of slots.entries()) {
      const keys = lists[index] ?? NO_BULK_STRINGS;
      if (!isSettled(view, slot)) continue;
      if (keys.count >= keysPerSlot) full.push(slot);
      else {
        read.push(slot);
        subjects.push(...subjectsAmong(this.#session.keyspace, slot, keys));
      }
    }
    return { subjects, read, full };
  }

  async #walkMovingSlot(slot: number, masters: readonly Master[]): Promise<void> {
    const source = masters.find(({ view }) => view.leaving.has(slot));
    const target = masters.find(({ view }) => view.id === source?.view.leaving.get(slot));
    if (source === undefined || target === undefined || this.#isAborted) return;
    try {
      const subjects = await readMovingSlot(this.#session, slot, source, target);
      if (subjects !== null) await this.#takeAll(source.node, subjects, [slot]);
    } catch (error) {
      this.#fail(source.node, error);
    }
  }

  /** Reports `why` the keys cannot be listed if SCAN is forbidden too. */
  async #scanSlots(node: RedisNode, slots: readonly number[], why?: unknown): Promise<void> {
    const { connection } = this.#session;
    const wanted = new Set(slots.filter((slot) => this.#slots.isPending(slot)));
    try {
      for await (const found of scanSubjects(this.#session, node, (slot) => wanted.has(slot))) {
        if (this.#isAborted) return;
        // Subjects cannot be passed on twice, so these slots have only this chance.
        const begun = new Set(found.map(({ slot }) => slot));
        this.#slots.begin(begun);
        await this.#takeSome(node, found, begun);
      }
      const [reply] = await connection.reading(node).send([CLUSTER_NODES], connection.timeoutMs);
      const after = parseSlotView(stringAt(bulkStringsIn(reply), 0));
      this.#slots.finish([...wanted].filter((slot) => isSettled(after, slot)));
      this.#reportProgress();
    } catch (error) {
      this.#fail(node, replyCode(error) === 'NOPERM' ? (why ?? error) : error);
    }
  }

  async #takeAll(
    node: RedisNode,
    subjects: readonly LocatedSubject[],
    slots: readonly number[],
  ): Promise<void> {
    if (this.#isAborted) return;
    this.#slots.begin(slots);
    if (subjects.length > 0) await this.#takeSome(node, subjects, slots);
    this.#slots.finish(slots);
    this.#reportProgress();
  }

  async #takeSome(
    node: RedisNode,
    subjects: readonly LocatedSubject[],
    slots: Iterable<number>,
  ): Promise<void> {
    try {
      await this.#take(node, subjects);
    } catch (error) {
      this.#slots.lose(slots, this.#reasonOf(node, error));
      throw error;
    }
  }

  /** Whether all remaining slots belong to masters that did not answer in this pass. */
  #isCutOff(masters: readonly Master[]): boolean {
    const answered = new Set<string | undefined>(masters.map(({ node }) => node.name));
    return this.#slots.pending().every((slot) => !answered.has(this.#session.connection.ownerName(slot)));
  }

  get #isAborted(): boolean {
    return this.#steering.signal?.aborted === true;
  }

  #reportProgress(): void {
    this.#steering.onProgress?.(this.#slots.progress);
  }

  #fail(node: RedisNode, error: unknown): void {
    // This took a full timeout already, and a cluster that is down serves nothing.
    if (error instanceof JwtctlError && replyCode(error.cause) === 'CLUSTERDOWN') this.#isClusterDown = true;
    this.#failures.set(node.name, this.#reasonOf(node, error));
  }

  #reasonOf(node: RedisNode, error: unknown): string {
    if (this.#isAborted) return INTERRUPTED;
    return `${node.name}: ${this.#session.connection.reasonFor(node.name, error)}`;
  }

  #reasonFor(slot: number, masters: readonly Master[]): string {
    if (this.#isAborted) return INTERRUPTED;
    const { connection } = this.#session;
    const owner = connection.ownerName(slot);
    const failure = this.#failures.get(owner ?? '');
    if (failure !== undefined) return failure;
    if (owner !== undefined && masters.every(({ node }) => node.name !== owner))
      return `${owner}: ${connection.dialFailure(owner) ?? 'not connected'}`;
    return masters.some(({ view }) => view.owned[slot] === 1) ? 'the slot was moving' : 'served by no master';
  }
}

interface ListedSlots {
  subjects: LocatedSubject[];
  read: number[];
  full: number[];
}

/** Replies to a command that the service does not offer. */
const FORBIDDEN = new Set(['NOPERM', 'ERR']);

const MAX_PASSES = 5;
const SLOTS_AT_ONCE = 26;
const KEYS_AT_ONCE = 500;
/** Ten million subjects put about 600 into each slot. */
const KEYS_PER_SLOT = 1000;
