import type { Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { FastifyInstance } from 'fastify';
import type { Context } from '../app/context.js';
import { readServeTls } from '../config/secrets/store-credentials.js';
import { heartbeatLifetime } from '../domain/fleet/heartbeat.js';
import { JwtctlError } from '../domain/shared/errors.js';
import { ClaimHeaders } from '../http/claim-headers.js';
import type { Report } from '../page/page-data.js';
import { openLiveVerifier } from '../verifier/open-live-verifier.js';
import { openApiServices } from './api/services.js';
import { createApp } from './app.js';
import { clientErrors } from './client-errors.js';
import { startEventDelivery } from './event-delivery.js';
import { jwkSetMaxAge } from './jwk-set.js';
import { createMetrics } from './metrics.js';
import { type FormatLine, flushed, openLog, requestLog, standardError } from './request-log.js';
import { collectRoutes, type ListedRoute, listRoutes } from './route-list.js';
import { metricsOfAll } from './shared-metrics.js';
import { aborted } from './stopping.js';
import { followTls, type ServerTls } from './tls.js';

export interface Endpoint {
  host: string;
  port: number;
}

/** What a person wants to know about a server that has started. */
export interface Listening extends Endpoint {
  isTls: boolean;
  routes: readonly ListedRoute[];
}

export interface ServeOutput {
  /** Default: JSON */
  formatLine?: FormatLine | undefined;
  /** Takes the place of the first log line. */
  greet?: ((listening: Listening) => Promise<void>) | undefined;
}

/** The time for running requests after the port closes, in addition to the stores' timeout. */
const FINISH_MS = 10_000;

/**
 * After `stop`, reports "not ready", serves for `serve.drain`, closes the port, and finishes running
 * requests.
 *
 * @param readReport what the dashboard shows, with one walk of the registry
 * @throws JwtctlError `ERR_PORT_IN_USE` (state), `ERR_CANNOT_LISTEN` (usage), and errors of the stores
 */
export async function serve(
  context: Context,
  endpoint: Endpoint,
  stop: AbortSignal,
  readReport: () => Promise<Report>,
  { formatLine, greet }: ServeOutput = {},
): Promise<void> {
  const { serve: settings, keys, token, timeout } = context.settings;
  const { now } = context.clock;
  const log = openLog(settings.logLevel, standardError(formatLine));
  const warn = (text: string) => log.warn(text);
  const tls = await readServeTls(context.settings, warn);
  const api = await openApiServices(context, warn);
  const dashboard = settings.dashboard
    ? (await import('./dashboard/index.js')).openDashboard(context, readReport)
    : null;
  const verifier = await openLiveVerifier(context, {
    warn,
    onSecurityEvent: dashboard?.onSecurityEvent,
    onStateChange: ({ level, fields, text }) => log[level](fields, text),
  });
  try {
    const metrics = createMetrics(verifier, context.clock, {
      heartbeatLifetimeSeconds: heartbeatLifetime(token.clockTolerance),
      rotateAfterSeconds: keys.rotateAfter,
      publishLeadSeconds: keys.publishLead,
    });
    const readiness = { isStopping: false };
    const rights = new Set(settings.clients?.flatMap(({ may }) => may));
    const policies = settings.policies ?? {};
    const metricsText = metricsOfAll(metrics.registry);
    const app = createApp({
      verifier,
      metrics,
      metricsText,
      log: requestLog(log),
      readiness,
      onClientError: clientErrors(log, metrics),
      cookie: settings.cookie,
      claimHeaders: new ClaimHeaders(settings.headers ?? {}),
      ...{ policies, rights, api, tls, now, tracing: await context.tracing() },
      dashboard: dashboard?.routes(metricsText) ?? null,
      publicUrl: settings.publicUrl,
      jwkSetMaxAgeSeconds: jwkSetMaxAge(keys.publishLead),
    });
    const routes = collectRoutes(app);
    const port = await listen(app, endpoint);
    if (tls !== null) {
      const apply = (changed: ServerTls) => {
        (app.server as unknown as Server).setSecureContext(changed);
        log.info('loaded the changed TLS certificate');
      };
      followTls(context.settings, { tls, apply, warn, stop });
    }
    const { host } = endpoint;
    const isTls = tls !== null;
    if (greet === undefined) {
      log.info({ host, port, tls: isTls, clients: settings.clients?.length ?? 0 }, 'listening');
    } else {
      const names = { rights, policies: Object.keys(policies) };
      await greet({ host, port, isTls, routes: listRoutes(routes, names) });
    }
    const { isReady, database, registry } = verifier.health();
    if (!isReady) {
      const stores = { database: database.state, registry: registry.state };
      log.warn(stores, 'not ready: requests get 503 until every store responds');
    }

    const delivering = startEventDelivery(context, { log, stop, metrics });

    await aborted(stop);
    readiness.isStopping = true;
    log.info(
      { drainSeconds: settings.drain },
      'stopping: reporting not ready, and serving requests until the port closes',
    );
    await delay(settings.drain * 1000);
    await Promise.all([close(app, FINISH_MS + timeout * 1000), ended(delivering, FINISH_MS)]);
    log.info('stopped');
  } finally {
    await verifier.close();
    await flushed(log);
  }
}

/** @returns the port; if `port` is 0, the system selects one */
async function listen(app: FastifyInstance, { host, port }: Endpoint): Promise<number> {
  try {
    await app.listen({ host, port });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw code === 'EADDRINUSE'
      ? new JwtctlError('ERR_PORT_IN_USE', `Port ${port} on ${host} is in use.`, { cause: error })
      : new JwtctlError('ERR_CANNOT_LISTEN', `jwtctl cannot listen on ${host}, port ${port} (${code}).`, {
          cause: error,
        });
  }
  return (app.server.address() as AddressInfo).port;
}

/** Waits at most this long. The end of the process ends the rest. */
async function ended(work: Promise<void>, mostMs: number): Promise<void> {
  const timer = new AbortController();
  await Promise.race([work, delay(mostMs, undefined, { signal: timer.signal }).catch(() => {})]);
  timer.abort();
}

/** Destroys connections whose request does not finish in time. */
async function close(app: FastifyInstance, finishMs: number): Promise<void> {
  const timer = setTimeout(() => app.server.closeAllConnections(), finishMs);
  await app.close();
  clearTimeout(timer);
}
