import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { AbstractConnector } from 'ioredis';
import { type Credentials, dialWith } from '../../../domain/shared/credentials.js';
import { JwtctlError } from '../../../domain/shared/errors.js';
import {
  describeClientCertificate,
  describeTlsFailure,
  type TlsPeer,
} from '../../../domain/shared/tls-failure.js';
import { limitReplies } from './broken-replies.js';
import { encodeCommands, RespParser } from './codec.js';
import { formatNode, type HostPort } from './node-address.js';
import type { Command } from './pipeline.js';
import { DeadlineError, NotOpenedError, replyCode } from './redis-errors.js';
import type { RedisOptions } from './redis-options.js';

/** Short enough that firewalls keep idle connections. Linux drops dead ones after ten more seconds. */
export const KEEP_ALIVE_MS = 5000;

/** Reads the credentials anew for each connection. The socket stays paused until it has a reader. */
export async function dialRedis(
  options: RedisOptions,
  node: HostPort,
  signal?: AbortSignal,
): Promise<Socket> {
  const { credentials = async () => ({}), onDialed } = options;
  try {
    const socket = await dialWith(credentials, (fresh) => logIn(options, node, fresh, signal), isRefusal);
    onDialed?.(node, null);
    return socket;
  } catch (error) {
    if (!signal?.aborted) onDialed?.(node, error);
    throw error;
  }
}

/** Asks a server that closed a plain connection. Sends nothing but the TLS handshake, so the certificate may be any. */
export function speaksTls({ host, port }: HostPort, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connectTls({ host, port, rejectUnauthorized: false, timeout: timeoutMs });
    const end = (isTls: boolean) => {
      socket.destroy();
      resolve(isTls);
    };
    socket.on('error', () => end(false));
    socket
      .once('secureConnect', () => end(true))
      .once('timeout', () => end(false))
      .once('close', () => end(false));
  });
}

/** Asks a server that does not answer a TLS handshake. */
function speaksPlainText(node: HostPort, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connectTcp({ ...node, timeout: timeoutMs }, () => socket.write('PING\r\n'));
    const end = (isPlain: boolean) => {
      socket.destroy();
      resolve(isPlain);
    };
    socket
      .on('error', () => end(false))
      .once('data', (data) => end(/^[+-]/.test(data.toString('latin1'))))
      .once('timeout', () => end(false))
      .once('close', () => end(false));
  });
}

/** By itself, ioredis 6.0 keeps the credentials that a client started with. */
export function connectorOf(
  options: RedisOptions,
  disconnectTimeoutMs: number,
): new (
  node: unknown,
) => AbstractConnector {
  return class extends AbstractConnector {
    readonly #node: HostPort;
    readonly #disconnected = new AbortController();

    constructor(node: unknown) {
      super(disconnectTimeoutMs);
      this.#node = node as HostPort;
    }

    override async connect(): Promise<Socket> {
      const { host, port } = this.#node;
      const socket = await dialRedis(options, { host, port }, this.#disconnected.signal).catch((error) => {
        throw new NotOpenedError(error);
      });
      limitReplies(socket);
      this.stream = socket;
      return socket;
    }

    override disconnect(): void {
      this.#disconnected.abort();
      super.disconnect();
    }
  };
}

function logIn(
  { username, timeoutMs }: RedisOptions,
  { host, port }: HostPort,
  { password, tls }: Credentials,
  signal: AbortSignal | undefined,
): Promise<Socket> {
  const server = `Redis at ${formatNode({ host, port })}`;
  const peer: TlsPeer = { server, host, group: 'redis', tls: tls ?? {} };
  return new Promise((resolve, reject) => {
    let isSecure = false;
    const settle = () => {
      clearTimeout(timer);
      clearTimeout(doubt);
      signal?.removeEventListener('abort', abort);
      socket.off('data', take).off('close', close).off('error', fail);
    };
    const fail = (error: Error) => {
      settle();
      socket.destroy();
      reject(tls === undefined ? error : translateTls(error, peer, isSecure));
    };
    const abort = () => fail(new Error('Connection is closed.'));
    const close = () => fail(new Error('The connection was closed.'));
    const succeed = () => {
      settle();
      resolve(socket.pause());
    };
    const parser = new RespParser((reply) => {
      // Any reply to PING proves that the server answers, even if the ACL forbids PING.
      if (password !== undefined && reply instanceof Error) fail(reply);
      else succeed();
    });
    const take = (chunk: Buffer) => {
      try {
        parser.push(chunk);
      } catch (error) {
        fail(error as Error);
      }
    };
    const greet = () => {
      isSecure = tls !== undefined;
      const first = firstCommand(username, password, isSecure);
      if (first === null) succeed();
      else socket.on('data', take).write(encodeCommands([first]), 'latin1');
    };
    const timer = setTimeout(() => fail(new DeadlineError(timeoutMs)), timeoutMs);
    // Without TLS, Redis waits for the rest of a command that never comes.
    const inDoubt = async () => {
      if (isSecure || !(await speaksPlainText({ host, port }, timeoutMs / 4))) return;
      fail(Object.assign(new Error('It answers without TLS.'), { code: 'ERR_SSL_WRONG_VERSION_NUMBER' }));
    };
    const doubt = tls === undefined ? undefined : setTimeout(inDoubt, timeoutMs / 4);
    const socket =
      tls === undefined
        ? connectTcp({ host, port }, greet)
        : connectTls(
            {
              ...{ ...tls, host, port, rejectUnauthorized: true },
              // Node sends no server name by itself, and a managed Redis may select its certificate by it. The name has
              // no dot at its end (RFC 6066 §3).
              ...(isIP(host) === 0 ? { servername: host.replace(/\.$/, '') } : {}),
            },
            greet,
          );
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    // An error event without a listener would end the process, even between two owners of the socket.
    socket.on('error', () => {});
    socket.on('error', fail).on('close', close);
    signal?.addEventListener('abort', abort);
    if (signal?.aborted) abort();
  });
}

/** TLS 1.3 checks client certificates after the handshake, so only a reply proves that one was accepted. */
function firstCommand(username = 'default', password: string | undefined, isSecure: boolean): Command | null {
  if (password !== undefined) return ['auth', username, password];
  return isSecure ? ['ping'] : null;
}

function translateTls(error: Error, peer: TlsPeer, isSecure: boolean): Error {
  if (replyCode(error) !== null) return error;
  const { code } = error as { code?: string };
  const isClosed = code === undefined || code === 'ECONNRESET' || code === 'EPIPE';
  const failure =
    describeTlsFailure(error, peer) ?? (isSecure && isClosed ? describeClientCertificate(peer) : null);
  if (failure === null) return error;
  return new JwtctlError('ERR_REDIS_TLS', failure.message, {
    hint: failure.hint,
    details: { reason: code ?? 'connection closed' },
    cause: error,
  });
}

function isRefusal(error: unknown): boolean {
  if (error instanceof JwtctlError) return error.code === 'ERR_REDIS_TLS';
  return ['WRONGPASS', 'NOAUTH'].includes(replyCode(error) ?? '');
}
