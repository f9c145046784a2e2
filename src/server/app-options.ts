import type { FastifyPluginCallback } from 'fastify';
import type { Tracing } from '../app/tracing.js';
import type { Right } from '../config/serve-clients.js';
import type { RequestPolicy } from '../domain/verification/request-policy.js';
import type { ClaimHeaders } from '../http/claim-headers.js';
import type { LiveVerifier } from '../verifier/live-verifier.js';
import type { ApiServices } from './api/services.js';
import type { ClientErrorHandler } from './client-errors.js';
import type { Metrics } from './metrics.js';
import type { RequestLog } from './request-log.js';
import type { ServerTls } from './tls.js';

export interface AppOptions {
  verifier: LiveVerifier;
  metrics: Metrics;
  /** Returns the text of `/metrics`, for all processes that share the port. */
  metricsText(): Promise<string>;
  log: RequestLog;
  onClientError: ClientErrorHandler;
  /** `isStopping` is true once the server was told to stop. */
  readiness: { isStopping: boolean };
  /** The cookie that may contain the token; null for none. */
  cookie: string | null;
  /** For accepted tokens. */
  claimHeaders: ClaimHeaders;
  /** What `/verify/@NAME` demands, by name. */
  policies: Readonly<Record<string, RequestPolicy>>;
  /** The issuer, as a URL; null disables the discovery documents. */
  publicUrl: string | null;
  /** What clients of the API may do. */
  rights: ReadonlySet<Right>;
  /** The applications that may use the API; null disables it. */
  api: ApiServices | null;
  /** The routes of the dashboard; null disables it. */
  dashboard: FastifyPluginCallback<Pick<AppOptions, 'log'>> | null;
  /** For HTTPS, in PEM; null for plain HTTP. */
  tls: ServerTls | null;
  /** Null unless the program uses OpenTelemetry. */
  tracing: Pick<Tracing, 'continueTrace'> | null;
  now(): number;
  jwkSetMaxAgeSeconds: number;
}
