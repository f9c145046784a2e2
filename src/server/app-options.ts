import type { LiveVerifier } from '../verifier/live-verifier.js';
import type { Metrics } from './metrics.js';
import type { RequestLog } from './request-log.js';

export interface AppOptions {
  verifier: LiveVerifier;
  metrics: Metrics;
  /** Returns the text of `/metrics`, for all processes that share the port. */
  metricsText(): Promise<string>;
  log: RequestLog;
  /** `isStopping` is true once the server was told to stop. */
  readiness: { isStopping: boolean };
  /** The cookie that may contain the token; null for none. */
  cookie: string | null;
  /** The client that may introspect; null disables introspection. */
  client: Client | null;
  now(): number;
  jwkSetMaxAgeSeconds: number;
}

export interface Client {
  id: string;
  secret: string;
}
