import { JwtctlError } from '../../../domain/shared/errors.js';
import { permissionsIn } from './permissions.js';
import type { RedisMode } from './redis-options.js';

export interface RedisAddress {
  nodes: readonly string[];
  mode: RedisMode;
  username?: string | undefined;
}

export class DeadlineError extends Error {
  override readonly name = 'DeadlineError';
  readonly code = 'ETIMEDOUT';

  constructor(readonly timeoutMs: number) {
    super(`No answer within ${timeoutMs} ms.`);
  }
}

/** The server that an error came from, as `host:port`. */
const sources = new WeakMap<object, string>();

/** Remembers the source of an error, so that the translated error names it, not all seed nodes. */
export function fromNode<T>(error: T, node: string | undefined): T {
  if (node !== undefined && error instanceof Error && !sources.has(error)) sources.set(error, node);
  return error;
}

/** ioredis waits for a failover only after exactly this message (ioredis 6.0). `cause` has the reason. */
export class NotOpenedError extends Error {
  override readonly name = 'NotOpenedError';

  constructor(override readonly cause: unknown) {
    super('Connection is closed.');
  }
}

/** A reply that cannot be parsed, or that has not the form of the command's replies. */
export class UnexpectedReplyError extends Error {
  override readonly name = 'UnexpectedReplyError';
  readonly code = 'UNEXPECTED_REPLY';

  constructor(options?: ErrorOptions) {
    super('The server sent an unexpected reply.', options);
  }
}

export class UncountedError extends Error {
  override readonly name = 'UncountedError';
  readonly code = 'UNCOUNTED';

  constructor() {
    super('A connection was lost: more may have been removed than was counted.');
  }
}

/** Returns the code of an error reply (`MOVED`, `NOPERM`, `ERR` …); null for any other error. */
export function replyCode(error: unknown): string | null {
  if (!(error instanceof Error) || error.name !== 'ReplyError') return null;
  return /^[A-Z]+/.exec(error.message)?.[0] ?? 'ERR';
}

/** Translates an error by reply code or system error code into a JwtctlError of kind `unavailable`. */
export function translateError(error: unknown, address: RedisAddress): unknown {
  const cause = innermost(error);
  if (cause instanceof JwtctlError || isDefect(cause) || isAbort(cause)) return cause;
  const source = sources.get(cause as object) ?? sources.get(error as object);
  const named = source === undefined ? address : { ...address, nodes: [source] };
  const code = replyCode(cause);
  if (cause instanceof UnexpectedReplyError) return unexpected(cause, named);
  return code === null ? unreachable(cause, named) : refused(code, cause as Error, named);
}

/** Whether an error is an error reply or a system error. ioredis's own errors have no code. */
export function hasCode(error: unknown): boolean {
  return replyCode(error) !== null || systemCode(error) !== null;
}

/** Whether an error explains nothing, like ioredis's own "Connection is closed". */
export function isVague(error: unknown): boolean {
  return !isDefect(error) && !isAbort(innermost(error)) && !hasCode(innermost(error));
}

export function reasonOf(error: unknown): string {
  const cause = innermost(error instanceof JwtctlError ? (error.cause ?? error) : error);
  const code = replyCode(cause) ?? systemCode(cause) ?? 'connection closed';
  if (code === 'NOPERM') return ['not permitted', ...permissionsIn(cause)].join(' ');
  return REASONS[code] ?? code;
}

const REASONS: Record<string, string> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  ETIMEDOUT: 'timed out',
  ENOTFOUND: 'unknown host',
  CLUSTERDOWN: 'cluster down',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another name',
  CERT_HAS_EXPIRED: 'its certificate has expired',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet',
  UNEXPECTED_REPLY: 'unexpected reply',
  UNCOUNTED: 'a connection was lost: more may have been removed than was counted',
};

export function clusterDown(message: string, address: RedisAddress, cause?: unknown): JwtctlError {
  return new JwtctlError('ERR_REDIS_CLUSTER_DOWN', message, {
    hint: `Try again after the failover, or check the cluster: redis-cli -p ${portOf(address)} cluster info`,
    details: { nodes: address.nodes },
    cause,
  });
}

function unreachable(cause: unknown, address: RedisAddress): JwtctlError {
  const reason = reasonOf(cause);
  const message = `Redis at ${address.nodes.join(', ')} cannot be reached (${reason}).`;
  return new JwtctlError('ERR_REDIS_UNREACHABLE', message, {
    hint: 'Check redis.nodes (JWTCTL_REDIS_NODES), the network, and redis.tls.* if the server uses TLS.',
    details: { nodes: address.nodes, reason },
    cause,
  });
}

function unexpected(cause: Error, { nodes }: RedisAddress): JwtctlError {
  const message = `Redis at ${nodes.join(', ')} sent a reply that is not one of Redis.`;
  return new JwtctlError('ERR_REDIS_UNEXPECTED_REPLY', message, {
    hint: 'Check that redis.nodes (JWTCTL_REDIS_NODES) points to Redis 7.0 or newer, or Valkey 8 or newer, and that no proxy changes replies.',
    details: { nodes },
    cause,
  });
}

function refused(code: string, cause: Error & { command?: { name?: string } }, address: RedisAddress) {
  const where = address.nodes.join(', ');
  const command = cause.command?.name?.toLowerCase();
  const details = { nodes: address.nodes, reply: code, ...(command === undefined ? {} : { command }) };
  switch (code) {
    case 'NOAUTH':
    case 'WRONGPASS':
      return new JwtctlError('ERR_REDIS_AUTH', `Redis at ${where} refused the login (${code}).`, {
        hint: 'Check redis.username and redis.password, redis.passwordFile, or redis.passwordCommand.',
        details,
        cause,
      });
    case 'NOPERM': {
      const permissions = permissionsIn(cause);
      const missing = permissions.map((permission) => `+${permission}`).join(' ');
      const what = permissions.length === 0 ? 'a command' : quoted(permissions);
      const message = `Redis at ${where} denies this account permission for ${what}, or access to the keys involved.`;
      return new JwtctlError('ERR_REDIS_FORBIDDEN', message, {
        hint: `Grant the permission on every node: ACL SETUSER ${address.username ?? 'default'} ${missing || '…'} ~<redis.prefix>:* (full list: docs/redis-acl.md).`,
        details: { ...details, rights: permissions },
        cause,
      });
    }
    case 'CLUSTERDOWN':
    case 'MASTERDOWN':
    case 'TRYAGAIN':
    case 'MOVED':
    case 'ASK':
      return clusterDown(
        `The Redis Cluster at ${where} is failing over or does not serve all slots.`,
        address,
        cause,
      );
    case 'LOADING':
    case 'BUSY':
    case 'READONLY':
    case 'MISCONF':
    case 'NOREPLICAS':
      return new JwtctlError(
        'ERR_REDIS_NOT_READY',
        `Redis at ${where} cannot serve requests now (${code}).`,
        {
          hint:
            code === 'READONLY'
              ? 'redis.nodes points to a replica. Set it to the address of the master.'
              : `Try again later, or check the server: redis-cli -p ${portOf(address)} info`,
          details,
          cause,
        },
      );
    case 'OOM':
      return new JwtctlError(
        'ERR_REDIS_OUT_OF_MEMORY',
        `Redis at ${where} has reached maxmemory and cannot register more tokens.`,
        { hint: 'Raise maxmemory, or add masters to the cluster.', details, cause },
      );
    default:
      return new JwtctlError(
        'ERR_REDIS_UNEXPECTED_REPLY',
        `Redis at ${where} replied ${code} to ${command === undefined ? 'a command' : `'${command}'`}.`,
        {
          hint: 'jwtctl needs Redis 7.0 or newer, or Valkey 8 or newer, with Lua scripts enabled.',
          details,
          cause,
        },
      );
  }
}

export function replicaError(node: string, master: string | null): JwtctlError {
  const ofMaster = master === null ? '' : ` of ${master}`;
  const message = `Redis at ${node} is a replica${ofMaster}: it may lag behind, and it rejects writes.`;
  return new JwtctlError('ERR_REDIS_IS_A_REPLICA', message, {
    hint: 'Set redis.nodes (JWTCTL_REDIS_NODES) to the address of the master.',
    details: { nodes: [node] },
  });
}

export function wrongType(key: string): JwtctlError {
  return new JwtctlError('ERR_REDIS_WRONG_TYPE', `The key ${key} in Redis has an unexpected type.`, {
    hint: 'Find the application that uses the key, or choose another redis.prefix (JWTCTL_REDIS_PREFIX).',
    details: { key },
  });
}

/** Whether an error is a defect of this program, which "unreachable" would hide. */
export function isDefect(error: unknown): boolean {
  return error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError;
}

/** Whether an AbortSignal made the error. ioredis also names errors AbortError, without a code. */
function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError' && 'code' in error;
}

/** Returns the underlying error. ioredis wraps the last node's error in a ClusterAllFailedError. */
export function innermost(error: unknown): unknown {
  if (error instanceof NotOpenedError) return error.cause;
  const inner = (error as { lastNodeError?: unknown } | null)?.lastNodeError;
  return inner instanceof Error ? innermost(inner) : error;
}

function systemCode(error: unknown): string | null {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : null;
}

function quoted(permissions: readonly string[]): string {
  return permissions.map((permission) => `'${permission}'`).join(', ');
}

function portOf(address: RedisAddress): string {
  return address.nodes[0]?.split(':').at(-1) ?? '6379';
}
