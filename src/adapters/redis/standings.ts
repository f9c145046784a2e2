import { performance } from 'node:perf_hooks';
import { JwtctlError } from '../../domain/errors.js';
import type {
  EntryName,
  NotedStanding,
  StandingQuery,
  Standings,
  StandingsOptions,
} from '../../domain/ports.js';
import { isUndelivered } from './batching.js';
import { type Bulks, numberOrNullAt } from './bulks.js';
import { Circuit } from './circuit.js';
import type { RedisConnection, RedisNode } from './connect.js';
import { replyCode } from './errors.js';
import {
  entryMember,
  HASH_SLOTS,
  notedStatus,
  STATUS_MEMBER,
  type SubjectKeys,
  VERSION_MEMBER,
} from './keyspace.js';
import { Lane } from './lane.js';
import { withDeadline } from './pipeline.js';
import { encodeCommands, type RespReply } from './resp.js';
import { readScores } from './scores.js';
import type { WholeRegistry } from './walk.js';

/**
 * Standings for a process that asks all the while: one ZMSCORE each, collected for a turn of the event loop and written at
 * once to each master, on a connection of its own. What a master cannot answer takes the way of everything else, which
 * follows redirects and waits out a failover.
 */
export class RedisStandings implements Standings {
  readonly #whole: WholeRegistry;
  readonly #connection: RedisConnection;
  readonly #options: StandingsOptions;
  readonly #lanes = new Map<string, Lane>();
  readonly #opening = new Circuit();
  /** Of masters that there is no connection to, by name; forgotten when others serve the slots. */
  readonly #unconnected = new Map<string, Circuit>();
  /** By slot: who was last asked. */
  readonly #owners: Array<string | undefined> = [];
  #epoch = 0;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #waiting: Pending[] = [];

  constructor(whole: WholeRegistry, options: StandingsOptions) {
    this.#whole = whole;
    this.#connection = whole.connection;
    this.#options = options;
  }

  async open(): Promise<number> {
    if (!this.#connection.isReady || this.#owners.length === 0) await this.#open();
    const masters = this.#connection.nodes().filter(({ isMaster }) => isMaster);
    const greet = (lane: Lane) =>
      new Promise<void>((resolve) => {
        lane.ask([{ text: PING, answer: () => resolve() }], this.#connection.timeoutMs);
      });
    await Promise.all(masters.map((node) => greet(this.#laneTo(node))));
    return this.#epoch;
  }

  of(sub: string, entry: EntryName): StandingQuery {
    const query = new Query(this.#whole.keyspace.keysOf(sub), entryMember(entry));
    return { read: () => this.#read(query) };
  }

  close(): void {
    for (const lane of this.#lanes.values()) lane.close();
    this.#lanes.clear();
  }

  #read(query: Query): Promise<NotedStanding> {
    return new Promise((resolve, reject) => {
      if (this.#waiting.length === 0) setImmediate(() => this.#flush(this.#waiting));
      this.#waiting.push({ query, resolve, reject });
    });
  }

  async #flush(batch: readonly Pending[]): Promise<void> {
    this.#waiting = [];
    try {
      if (!this.#connection.isReady) await this.#open();
      this.#distribute(batch);
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  }

  #distribute(batch: readonly Pending[]): void {
    if (this.#owners.length === 0) this.#noteOwners();
    const owner = this.#connection.owners();
    const groups = new Map<string, { node: RedisNode; members: Pending[] }>();
    for (const pending of batch) {
      const { slot } = pending.query.keys;
      const node = owner(slot);
      const group = node && groups.get(node.name);
      if (node !== undefined && this.#owners[slot] !== node.name) this.#noteOwners();
      if (node === undefined) this.#askAround(pending, this.#circuitOf(slot));
      else if (group === undefined) groups.set(node.name, { node, members: [pending] });
      else group.members.push(pending);
    }
    for (const { node, members } of groups.values()) this.#ask(this.#laneTo(node), members);
  }

  async #open(): Promise<void> {
    const refusal = this.#opening.refusal();
    if (refusal !== null) throw refusal;
    try {
      await this.#connection.ready();
    } catch (error) {
      this.#opening.failed(error as Error);
      throw error;
    }
    this.#opening.succeeded();
    this.#noteOwners();
  }

  #circuitOf(slot: number): Circuit {
    const name = this.#connection.ownerName(slot) ?? '';
    const circuit = this.#unconnected.get(name) ?? new Circuit();
    this.#unconnected.set(name, circuit);
    return circuit;
  }

  /** All slots at once: a failover moves thousands of them, and is one change. */
  #noteOwners(): void {
    const owner = this.#connection.owners();
    for (let slot = 0; slot < HASH_SLOTS; slot++)
      this.#owners[slot] = owner(slot)?.name ?? this.#owners[slot];
    this.#epoch += 1;
    this.#unconnected.clear();
    this.#closeIdleLanes();
  }

  /** Those to masters that serve nothing any more, gone or made replicas: nobody would ask them again, or end them. */
  #closeIdleLanes(): void {
    const owners = new Set(this.#owners);
    for (const [name, lane] of this.#lanes) {
      if (owners.has(name)) continue;
      this.#lanes.delete(name);
      lane.close();
    }
  }

  #ask(lane: Lane, members: readonly Pending[]): void {
    const refusal = lane.circuit.refusal();
    if (refusal !== null) {
      for (const { reject } of members) reject(refusal);
      this.#lookAgain();
      return;
    }
    const deadline = performance.now() + this.#connection.timeoutMs;
    const questions = members.map((pending) => ({
      text: pending.query.text,
      answer: (reply: RespReply, lost: Error | null) => {
        // It was never asked: what is on its way to it tells how it is.
        if (lost instanceof JwtctlError) pending.reject(lost);
        // Whatever it was lost for: what it was asked has not been answered.
        else if (lost !== null || isUndelivered(reply))
          void this.#resend(pending, lane.circuit, deadline, lost ?? reply);
        else {
          lane.circuit.succeeded();
          this.#settle(pending, lane, reply);
        }
      },
    }));
    lane.ask(questions, this.#connection.timeoutMs);
  }

  /** For a slot that nobody is known to serve. */
  #askAround(pending: Pending, circuit: Circuit): void {
    const refusal = circuit.refusal();
    if (refusal === null) {
      void this.#resend(pending, circuit, performance.now() + this.#connection.timeoutMs, null);
    } else {
      pending.reject(refusal);
      this.#lookAgain();
    }
  }

  /** Who serves the slots: a server that hangs has its replica take over, and never says so. */
  #lookAgain(): void {
    const now = performance.now();
    if (now < this.#lookedAt + LOOK_EVERY_MS) return;
    this.#lookedAt = now;
    // Where nobody can say, the next question finds out.
    this.#connection.refresh().catch(() => {});
  }

  #settle({ query, resolve, reject }: Pending, lane: Lane, reply: RespReply): void {
    // There is a key of a foreign type, which is not ours.
    if (replyCode(reply) === 'WRONGTYPE') resolve(plainStanding([], this.#epoch));
    else if (reply instanceof Error) reject(this.#connection.translate(reply));
    else if (reply === null || typeof reply === 'number')
      reject(this.#connection.translate(new Error('The server did not answer what it was asked.')));
    else resolve(heldStanding(reply, lane, query, this.#epoch));
  }

  /** By way of ioredis, which says who serves the slot now. */
  async #resend(
    { query, resolve, reject }: Pending,
    circuit: Circuit,
    deadline: number,
    why: RespReply,
  ): Promise<void> {
    try {
      if (performance.now() >= deadline) throw why;
      const remainingMs = Math.max(0, deadline - performance.now());
      const scores = await withDeadline(readScores(this.#whole, query.keys, query.members), remainingMs);
      circuit.succeeded();
      // A slot that is moving loses nothing.
      if (!MIGRATING.has(replyCode(why) ?? '')) this.#epoch += 1;
      resolve(plainStanding(scores, this.#epoch));
    } catch (error) {
      const failure = this.#connection.translate(error);
      circuit.failed(failure as Error);
      reject(failure);
      this.#lookAgain();
    }
  }

  #laneTo(node: RedisNode): Lane {
    const known = this.#lanes.get(node.name);
    if (known !== undefined) return known;
    const lane = new Lane(this.#connection, node, {
      isTracking: this.#options.nearCache,
      now: this.#options.now,
      onLost: () => {
        this.#epoch += 1;
        this.#lookAgain();
      },
    });
    this.#lanes.set(node.name, lane);
    return lane;
  }
}

const LOOK_EVERY_MS = 250;
const PING = encodeCommands([['ping']]);
const MIGRATING = new Set(['ASK', 'TRYAGAIN']);

interface Pending {
  query: Query;
  resolve(standing: NotedStanding): void;
  reject(error: unknown): void;
}

/** One ZMSCORE, written once for as often as it is asked. */
class Query {
  readonly keys: SubjectKeys;
  readonly members: readonly string[];
  readonly text: string;

  constructor(keys: SubjectKeys, member: string) {
    this.keys = keys;
    this.members = [member, STATUS_MEMBER, VERSION_MEMBER];
    this.text = encodeCommands([['zmscore', keys.entries, ...this.members]]);
  }
}

function heldStanding(reply: Bulks, lane: Lane, { keys }: Query, epoch: number): NotedStanding {
  const score = (index: number) => numberOrNullAt(reply, index);
  const exp = score(0);
  const user = notedStatus(score(1), score(2));
  // What is not there is asked for again: whoever invents tokens shall not fill a memory.
  return { exp, user, hold: exp === null ? null : lane.holdOf(keys.entries), epoch };
}

/** Of scores that came on no connection which tells of changes. */
function plainStanding(scores: ReadonlyArray<number | null>, epoch: number): NotedStanding {
  const [exp = null, status = null, version = null] = scores;
  return { exp, user: notedStatus(status, version), hold: null, epoch };
}
