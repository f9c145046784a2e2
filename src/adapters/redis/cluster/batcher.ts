import type { Redis } from 'ioredis';
import { JwtctlError } from '../../../domain/shared/errors.js';
import type { Breaker } from '../wire/circuit-breaker.js';
import { missingPermissions } from '../wire/missing-permissions.js';
import { MissingPermissionsError } from '../wire/permissions.js';
import { type Command, type Reply, sendPipeline } from '../wire/pipeline.js';
import { recorded } from '../wire/recorded.js';
import { DeadlineError, fromNode, replyCode } from '../wire/redis-errors.js';
import type { RedisConnection, RedisNode } from './redis-connection.js';
import type { Args, Script } from './script.js';

export type Request = {
  slot: number;
  /** Uses the connection on which WAIT may follow without delaying reads. */
  confirming?: boolean;
  /** Resolves with the error if the commands were not delivered, instead of sending them again. */
  once?: boolean;
} & ({ commands: readonly Command[] } | { script: Script; keys: readonly string[]; args: Args });

export interface Answer {
  /** One reply per command (one for a script), including the command's own errors (WRONGTYPE, OOM …). */
  replies: Reply[];
  /** The master that answered; null after a redirect. */
  node: RedisNode | null;
  /** The connection that WAIT has to use; null after a redirect. */
  client: Redis | null;
  /** Whether it may have been executed before, and that reply was lost. */
  isRepeated: boolean;
}

/**
 * Sends the requests of one event-loop turn as one pipeline per master. With keys on three masters, ioredis's
 * auto-pipelining reached half the throughput (ioredis 6.0). Undelivered requests (MOVED, ASK, TRYAGAIN,
 * CLUSTERDOWN, a lost connection) are sent again through the Cluster object, so every request must be safe to
 * send twice.
 */
export class Batcher {
  readonly #connection: RedisConnection;
  #waiting: Pending[] = [];

  constructor(connection: RedisConnection) {
    this.#connection = connection;
  }

  send(request: Request): Promise<Answer> {
    const { recordCall } = this.#connection.options;
    const answer = this.#answer(request);
    return recordCall === undefined ? answer : recorded(answer, operationOf(request), recordCall);
  }

  #answer(request: Request): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (this.#waiting.length === 0) setImmediate(() => this.#flush());
      this.#waiting.push({ request, resolve, reject, deadline: 0 });
    });
  }

  /** @throws the error reply, or the error of `read`, which returns the reply in the form of the command */
  async read<T>(request: Request, read: (reply: Reply) => T): Promise<T> {
    const { replies, node } = await this.send(request);
    return this.#connection.unwrap(replies[0], read, node?.name);
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

  #recordFailure(breaker: Breaker, failure: unknown, deadline: number): void {
    const hasTimedOut = Date.now() >= deadline - this.#connection.timeoutMs / 2;
    if (hasTimedOut && failure instanceof JwtctlError) breaker.failed(failure);
  }

  async #sendGroup(
    group: Group,
    members: readonly Pending[],
    deadline: number,
    isFirst = true,
  ): Promise<void> {
    const commands = members.map(({ request }) => commandsOf(request));
    if (!isFirst) loadScripts(members, commands);
    const sent = commands.flat();
    const { node, client } = group;
    const breaker = this.#connection.breaker(node.name);
    let replies: readonly Reply[];
    try {
      replies = await breaker.guard(sendPipeline(client, sent, remaining(deadline)));
    } catch (error) {
      const failure = this.#connection.translate(fromNode(error, node.name));
      this.#recordFailure(breaker, failure, deadline);
      for (const { request, resolve, reject } of members) {
        if (request.once) resolve({ replies: [failure], node, client, isRepeated: false });
        else reject(failure);
      }
      return;
    }
    replies = await this.#nameMissingPermissions(client, sent, replies, deadline);
    const unknown: Pending[] = [];
    let from = 0;
    for (const [index, pending] of members.entries()) {
      const count = commands[index]?.length ?? 0;
      const own = count === 1 ? [replies[from]] : replies.slice(from, from + count);
      from += count;
      let undelivered: Reply;
      for (const reply of own) {
        if (!(reply instanceof Error)) continue;
        fromNode(reply, node.name);
        if (isUndelivered(reply)) undelivered ??= reply;
      }
      if (isFirst && replyCode(undelivered) === 'NOSCRIPT') unknown.push(pending);
      else if (undelivered === undefined || pending.request.once)
        pending.resolve({ replies: own, node, client, isRepeated: false });
      else void this.#resend(pending, undelivered);
    }
    if (unknown.length > 0) await this.#sendGroup(group, unknown, deadline, false);
  }

  async #nameMissingPermissions(
    client: Redis,
    commands: readonly Command[],
    replies: readonly Reply[],
    deadline: number,
  ): Promise<readonly Reply[]> {
    const isRefused = (reply: Reply, index: number) =>
      REFUSALS.has(replyCode(reply) ?? '') && SCRIPT_COMMANDS.has(commands[index]?.[0] ?? '');
    if (!replies.some(isRefused)) return replies;
    const permissions = await missingPermissions(client, Math.max(1, deadline - Date.now()));
    if (permissions.length === 0) return replies;
    return replies.map((reply, index) =>
      isRefused(reply, index) ? new MissingPermissionsError(permissions, reply) : reply,
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
      // The Cluster object also sends again after a lost connection, without saying so.
      const isRepeated = isLost || losses !== this.#connection.losses;
      resolve({ replies, node: null, client: null, isRepeated });
    } catch (error) {
      // If the Cluster object gave up without an error code, the reply before it explains more.
      const isVague = replyCode(error) === null && MOVING.has(replyCode(why) ?? '');
      const failure = this.#connection.translate(fromNode(isVague ? why : error, name));
      this.#recordFailure(breaker, failure, deadline);
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

function operationOf(request: Request): string {
  if ('script' in request) return 'evalsha';
  const [first, ...others] = request.commands;
  return others.length > 0 || first === undefined ? 'pipeline' : first[0];
}

interface Group {
  node: RedisNode;
  client: Redis;
  members: Pending[];
}

/** Bounds the string that ioredis builds and the replies that the server buffers. */
const PIPELINE_LIMIT = 1000;

export function commandsOf(request: Request): readonly Command[] {
  return 'script' in request ? [byHash(request.script, request.keys, request.args)] : request.commands;
}

/** A server without the script answers NOSCRIPT, such as a new master after a failover. */
function byHash({ sha }: Script, keys: readonly string[], args: Args): Command {
  return ['evalsha', sha, keys.length, ...keys, ...args];
}

function bySource({ source }: Script, keys: readonly string[], args: Args): Command {
  return ['eval', source, keys.length, ...keys, ...args];
}

function keyOf(request: Request): string {
  const key = 'script' in request ? request.keys[0] : request.commands[0]?.[1];
  return String(key ?? '');
}

/** EVAL loads a script for the hashes behind it in the pipeline. */
function loadScripts(members: readonly Pending[], commands: Array<readonly Command[]>): void {
  const loaded = new Set<Script>();
  for (const [index, { request }] of members.entries()) {
    if (!('script' in request) || loaded.has(request.script)) continue;
    loaded.add(request.script);
    commands[index] = [bySource(request.script, request.keys, request.args)];
  }
}

const SCRIPT_COMMANDS = new Set(['eval', 'evalsha']);
/** The reply codes when the ACL forbids a command of a script: ERR in Redis 7.0, NOPERM since. */
const REFUSALS = new Set(['ERR', 'NOPERM']);

const MOVING = new Set(['MOVED', 'ASK', 'TRYAGAIN', 'CLUSTERDOWN']);

/** Whether the command was not executed here, or was lost with the connection. */
export function isUndelivered(reply: Reply): boolean {
  if (!(reply instanceof Error)) return false;
  const code = replyCode(reply);
  return code === null || code === 'NOSCRIPT' || MOVING.has(code);
}

function asReply(error: unknown): Reply {
  if (replyCode(error) === null || isUndelivered(error)) throw error;
  return error;
}

function remaining(deadline: number): number {
  const ms = deadline - Date.now();
  if (ms <= 0) throw new DeadlineError(0);
  return ms;
}
