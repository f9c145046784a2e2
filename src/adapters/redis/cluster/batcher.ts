import type { Redis } from 'ioredis';
import { JwtctlError } from '../../../domain/shared/errors.js';
import type { Breaker } from '../wire/circuit-breaker.js';
import { DeadlineError, fromNode, replyCode } from '../wire/errors.js';
import { missingRights } from '../wire/missing-rights.js';
import { type Command, type Reply, sendPipeline } from '../wire/pipeline.js';
import { MissingRightsError } from '../wire/rights.js';
import type { RedisConnection, RedisNode } from './redis-connection.js';
import { byHash, bySource, type Script } from './script.js';

/** Commands on keys of one hash slot. */
export type Request = {
  slot: number;
  /** On the connection where WAIT may follow without holding up the reads of others. */
  confirming?: boolean;
  /** Not again where it was not delivered: the reply says so. */
  once?: boolean;
} & (
  | { commands: readonly Command[] }
  | { script: Script; keys: readonly string[]; args: ReadonlyArray<string | number> }
);

export interface Answer {
  /** A reply for each command, errors of the commands' own (WRONGTYPE, OOM …) in their places; for a script only one. */
  replies: Reply[];
  /** The master that answered; null where the commands took a way of their own after a redirect. */
  node: RedisNode | null;
  /** The connection that carried the commands, which WAIT has to use; null as above. */
  client: Redis | null;
  /** Whether it may have been carried out before, and the reply to that was lost with a connection. */
  isRepeated: boolean;
}

/**
 * Collects what is asked in one turn of the event loop and sends it as one pipeline to each master.
 *
 * ioredis's own auto-pipelining groups by the set of nodes and pays for it on each command: with keys on three masters it
 * reached half of the throughput (ioredis 6.0). What a master cannot answer any more (MOVED, ASK, TRYAGAIN, CLUSTERDOWN,
 * a lost connection) is sent once more through the Cluster object, which follows redirects. All requests may safely be
 * sent twice.
 */
export class Batcher {
  readonly #connection: RedisConnection;
  #waiting: Pending[] = [];

  constructor(connection: RedisConnection) {
    this.#connection = connection;
  }

  /** Resolves within the connection's time-out. @throws JwtctlError */
  send(request: Request): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (this.#waiting.length === 0) setImmediate(() => this.#flush());
      this.#waiting.push({ request, resolve, reject, deadline: 0 });
    });
  }

  async #flush(): Promise<void> {
    const batch = this.#waiting;
    this.#waiting = [];
    const deadline = Date.now() + this.#connection.timeoutMs;
    for (const pending of batch) pending.deadline = deadline;
    try {
      if (!this.#connection.isReady) await this.#connection.ready();
    } catch (error) {
      for (const pending of batch) pending.reject(error);
      return;
    }
    for (const group of this.#groups(batch)) {
      for (let from = 0; from < group.members.length; from += PIPELINE_LIMIT) {
        void this.#sendGroup(group, group.members.slice(from, from + PIPELINE_LIMIT), deadline);
      }
    }
  }

  #groups(batch: readonly Pending[]): Iterable<Group> {
    const owner = this.#connection.owners();
    const groups = new Map<Redis, Group>();
    for (const pending of batch) {
      const node = owner(pending.request.slot);
      const refusal = this.#refusalOf(pending.request, node);
      if (refusal !== null) {
        pending.reject(refusal);
        continue;
      }
      if (node === undefined) {
        void this.#resend(pending, null);
        continue;
      }
      const client = pending.request.confirming ? this.#connection.confirming(node) : node.client;
      const group = groups.get(client);
      if (group === undefined) groups.set(client, { node, client, members: [pending] });
      else group.members.push(pending);
    }
    return groups.values();
  }

  #breakerOf({ slot }: Request, node: RedisNode | undefined): Breaker {
    return this.#connection.breaker(node?.name ?? this.#connection.ownerName(slot) ?? '');
  }

  #refusalOf(request: Request, node: RedisNode | undefined): Error | null {
    return this.#breakerOf(request, node).refusal(() =>
      this.#connection.tryAgain(keyOf(request), request.slot),
    );
  }

  /** Opens the circuit breaker of a server that timed out, so that later requests do not wait for it. */
  #noteFailure(breaker: Breaker, failure: unknown, deadline: number): void {
    const wasWaitedFor = Date.now() >= deadline - this.#connection.timeoutMs / 2;
    if (wasWaitedFor && failure instanceof JwtctlError) breaker.failed(failure);
  }

  async #sendGroup(
    group: Group,
    members: readonly Pending[],
    deadline: number,
    isFirst = true,
  ): Promise<void> {
    const commands = members.map(({ request }) => commandsOf(request));
    if (!isFirst) loadScripts(members, commands);
    const { node, client } = group;
    const breaker = this.#connection.breaker(node.name);
    let replies: Reply[];
    try {
      replies = await breaker.guard(sendPipeline(client, commands.flat(), remaining(deadline)));
    } catch (error) {
      const failure = this.#connection.translate(fromNode(error, node.name));
      this.#noteFailure(breaker, failure, deadline);
      for (const { request, resolve, reject } of members) {
        if (request.once) resolve({ replies: [failure], node, client, isRepeated: false });
        else reject(failure);
      }
      return;
    }
    replies = await this.#nameMissingRights(client, commands.flat(), replies, deadline);
    const unknown: Pending[] = [];
    let from = 0;
    for (const [index, pending] of members.entries()) {
      const own = replies.slice(from, from + (commands[index]?.length ?? 0));
      from += own.length;
      for (const reply of own) fromNode(reply, node.name);
      const undelivered = own.find(isUndelivered);
      if (isFirst && replyCode(undelivered) === 'NOSCRIPT') unknown.push(pending);
      else if (undelivered === undefined || pending.request.once)
        pending.resolve({ replies: own, node, client, isRepeated: false });
      else void this.#resend(pending, undelivered);
    }
    if (unknown.length > 0) await this.#sendGroup(group, unknown, deadline, false);
  }

  /** Replaces the errors of scripts that the ACL stopped with one error that names the missing rights. */
  async #nameMissingRights(
    client: Redis,
    commands: readonly Command[],
    replies: readonly Reply[],
    deadline: number,
  ): Promise<Reply[]> {
    const isRefused = (reply: Reply, index: number) =>
      REFUSALS.has(replyCode(reply) ?? '') && SCRIPT_COMMANDS.has(commands[index]?.[0] ?? '');
    if (!replies.some(isRefused)) return [...replies];
    const rights = await missingRights(client, Math.max(1, deadline - Date.now()));
    if (rights.length === 0) return [...replies];
    return replies.map((reply, index) =>
      isRefused(reply, index) ? new MissingRightsError(rights, reply) : reply,
    );
  }

  async #resend({ request, resolve, reject, deadline }: Pending, why: Reply): Promise<void> {
    const { losses } = this.#connection;
    const name = this.#connection.ownerName(request.slot);
    const breaker = this.#breakerOf(request, undefined);
    try {
      const commands =
        'script' in request ? [bySource(request.script, request.keys, request.args)] : request.commands;
      const replies: Reply[] = [];
      for (const command of commands) {
        const following = this.#connection.follow(command, remaining(deadline), name);
        replies.push(fromNode(await breaker.guard(following).catch(asReply), name));
      }
      const isLost = why !== null && replyCode(why) === null;
      // The Cluster object, too, sends again what was lost with a connection, and does not say so.
      const isRepeated = isLost || losses !== this.#connection.losses;
      resolve({ replies, node: null, client: null, isRepeated });
    } catch (error) {
      // Where the Cluster object gave up without a word, the reply that began it says more.
      const isVague = replyCode(error) === null && MOVING.has(replyCode(why) ?? '');
      const failure = this.#connection.translate(fromNode(isVague ? why : error, name));
      this.#noteFailure(breaker, failure, deadline);
      reject(failure);
    }
  }
}

interface Pending {
  request: Request;
  resolve(answer: Answer): void;
  reject(error: unknown): void;
  deadline: number;
}

interface Group {
  node: RedisNode;
  client: Redis;
  members: Pending[];
}

/** ioredis joins a pipeline into one string, and a server keeps all of its replies: neither may grow without bounds. */
const PIPELINE_LIMIT = 1000;

export function commandsOf(request: Request): readonly Command[] {
  return 'script' in request ? [byHash(request.script, request.keys, request.args)] : request.commands;
}

function keyOf(request: Request): string {
  const key = 'script' in request ? request.keys[0] : request.commands[0]?.[1];
  return String(key ?? '');
}

/** Sends the source in place of the first hash of each script: EVAL keeps it for those behind it in the pipeline. */
function loadScripts(members: readonly Pending[], commands: Array<readonly Command[]>): void {
  const loaded = new Set<Script>();
  for (const [index, { request }] of members.entries()) {
    if (!('script' in request) || loaded.has(request.script)) continue;
    loaded.add(request.script);
    commands[index] = [bySource(request.script, request.keys, request.args)];
  }
}

const SCRIPT_COMMANDS = new Set(['eval', 'evalsha']);
/** The reply codes when the ACL forbids a command inside a script: the first in Redis 7.0, the second in newer versions. */
const REFUSALS = new Set(['ERR', 'NOPERM']);

const MOVING = new Set(['MOVED', 'ASK', 'TRYAGAIN', 'CLUSTERDOWN']);

/** Whether a reply says that the command was not carried out here and may be elsewhere, or was lost with the connection. */
export function isUndelivered(reply: Reply): boolean {
  if (!(reply instanceof Error)) return false;
  const code = replyCode(reply);
  return code === null || code === 'NOSCRIPT' || MOVING.has(code);
}

/** An error of the command's own is its reply; all others end the request. */
function asReply(error: unknown): Reply {
  if (replyCode(error) === null || isUndelivered(error)) throw error;
  return error;
}

function remaining(deadline: number): number {
  const ms = deadline - Date.now();
  if (ms <= 0) throw new DeadlineError(0);
  return ms;
}
