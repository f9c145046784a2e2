import type { LiveVerifier } from '../verifier/live-verifier.js';
import type { Metrics } from './metrics.js';
import type { RequestLog } from './request-log.js';

export interface AppOptions {
  verifier: LiveVerifier;
  metrics: Metrics;
  /** The text of `/metrics`: of this process, or of all that share the port. */
  metricsText(): Promise<string>;
  log: RequestLog;
  readiness: Readiness;
  /** The cookie that a token may be in; null for none. */
  cookie: string | null;
  /** Who may introspect; null for nobody. */
  client: Client | null;
  /** NumericDate seconds. */
  now(): number;
  /** How long a JWK Set may be kept, in seconds. */
  jwkSetMaxAgeSeconds: number;
}

/** Whether the server still wants requests. */
export interface Readiness {
  /** True from when it was told to stop. */
  isStopping: boolean;
}

/** Who may ask. */
export interface Client {
  id: string;
  secret: string;
}
