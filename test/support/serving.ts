import { createHash } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import { afterEach } from 'vitest';
import type { ClientSetting, Right } from '../../src/config/serve-clients.js';
import { RIGHTS } from '../../src/config/serve-clients.js';
import type { RequestPolicy } from '../../src/domain/verification/request-policy.js';
import { ClaimHeaders } from '../../src/http/claim-headers.js';
import type { Report } from '../../src/page/page-data.js';
import { openApiServices } from '../../src/server/api/services.js';
import { createApp } from '../../src/server/app.js';
import { clientErrors } from '../../src/server/client-errors.js';
import { openDashboard } from '../../src/server/dashboard/index.js';
import { createMetrics } from '../../src/server/metrics.js';
import { openLog, requestLog } from '../../src/server/request-log.js';
import type { LiveVerifier } from '../../src/verifier/live-verifier.js';
import { openLiveVerifier } from '../../src/verifier/open-live-verifier.js';
import { parseNdjson } from './ndjson.js';
import { checkResponses } from './openapi.js';
import { inBackground, openContext } from './opened-context.js';
import type { Stores } from './stores.js';

export const HEARTBEAT_VALID_SECONDS = 15;
export interface Client {
  id: string;
  secret: string;
}

/** May do everything. */
export const CLIENT: Client = { id: 'api gateway', secret: 's3cret+/=:&%é of at least 32 characters' };

/** The server's routes over real stores, called without a socket. */
export interface Serving {
  app: FastifyInstance;
  verifier: LiveVerifier;
  readiness: { isStopping: boolean };
  warnings: readonly string[];
  /** The log so far. */
  // biome-ignore lint/suspicious/noExplicitAny: a test states the shape that it expects
  lines(): any[];
  close(): Promise<void>;
}

interface ServingOptions {
  cookie?: string;
  headers?: Record<string, string>;
  policies?: Record<string, RequestPolicy>;
  publicUrl?: string;
  /** Default: only {@link CLIENT} */
  clients?: readonly ClientSetting[] | null;
  logout?: boolean;
  /** What the dashboard shows. Default: no dashboard */
  readReport?: () => Promise<Report>;
  level?: 'debug' | 'info';
  nearCache?: boolean;
  /** Overrides of what the stores return. */
  verifier?: Partial<LiveVerifier>;
}

export async function openServing(stores: Stores, options: ServingOptions = {}): Promise<Serving> {
  const {
    cookie = null,
    headers = {},
    policies = {},
    publicUrl = null,
    clients = [clientSetting(CLIENT)],
    logout = false,
    level = 'info',
    nearCache = false,
  } = options;
  const context = await openContext({ ...stores, clock: inBackground(stores.clock) });
  const { now } = context.clock;
  const warnings: string[] = [];
  const serve = { ...context.settings.serve, clients, logout };
  const withClients = { ...context, settings: { ...context.settings, serve } };
  const dashboard = options.readReport && openDashboard(context, options.readReport);
  const real = await openLiveVerifier(context, { nearCache, onSecurityEvent: dashboard?.onSecurityEvent });
  const verifier: LiveVerifier = {
    clock: real.clock,
    verify: (token) => real.verify(token),
    jwkSet: () => real.jwkSet(),
    health: () => real.health(),
    allKeys: () => real.allKeys(),
    close: () => real.close(),
    ...options.verifier,
  };
  let text = '';
  const log = openLog(level, {
    write: (line) => {
      text += line;
    },
  });
  const readiness = { isStopping: false };
  const metrics = createMetrics(verifier, context.clock, {
    heartbeatLifetimeSeconds: HEARTBEAT_VALID_SECONDS,
    rotateAfterSeconds: context.settings.keys.rotateAfter,
    publishLeadSeconds: context.settings.keys.publishLead,
  });
  const app = createApp({
    verifier,
    metrics,
    metricsText: () => metrics.registry.metrics(),
    log: requestLog(log),
    readiness,
    onClientError: clientErrors(log, metrics),
    cookie,
    claimHeaders: new ClaimHeaders(headers),
    policies,
    publicUrl,
    rights: new Set(clients?.flatMap(({ may }) => may)),
    api: await openApiServices(withClients, (text) => warnings.push(text)),
    dashboard: dashboard?.routes(() => metrics.registry.metrics()) ?? null,
    tls: null,
    tracing: await context.tracing(),
    now,
    jwkSetMaxAgeSeconds: 300,
  });
  const violations = checkResponses(app);
  return {
    ...{ app, verifier, readiness, warnings },
    lines: () => parseNdjson(text),
    close: async () => {
      await app.close();
      await verifier.close();
      await context.dispose();
      if (violations.length > 0) throw new Error(violations.join('\n'));
    },
  };
}

/** Serves over these stores as often as a test asks. Closes everything after each test. */
export function servingsOver(stores: () => Stores): (options?: ServingOptions) => Promise<Serving> {
  const opened: Serving[] = [];
  afterEach(async () => {
    for (const serving of opened.splice(0)) await serving.close();
  });
  return async (options = {}) => {
    const serving = await openServing(stores(), options);
    opened.push(serving);
    return serving;
  };
}

export function clientSetting(
  { id, secret }: Client,
  { may = RIGHTS, audiences = null }: { may?: readonly Right[]; audiences?: string[] | null } = {},
): ClientSetting {
  const secretSha256 = createHash('sha256').update(secret).digest('hex');
  return { id, secretFile: null, secretSha256, may, audiences };
}

export function bearer(token: string): { authorization: string } {
  return { authorization: `Bearer ${token}` };
}

export function basic({ id, secret }: Client): { authorization: string } {
  return { authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}` };
}
