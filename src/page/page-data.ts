import type { Inspection } from '../domain/inspection/types.js';
import type { KeyPhase, KeyTimes } from '../domain/keys/timeline.js';
import type { KeyState } from '../domain/model/signing-key.js';
import type { SecurityEvent } from '../domain/ports/index.js';

/**
 * What the page shows at one time: the documents of `cache inspect`, `keys list --timeline`, `status`, and `doctor`.
 * Only the members that the page uses have a type.
 */
export interface Report {
  at: number;
  inspection: Omit<Inspection, 'missed' | 'byKid' | 'issuedBefore'> & {
    missed?: readonly string[];
    byKid: ReadonlyArray<{ kid: string | null; keyId: number; state: KeyState | null; entries: number }>;
  };
  timeline: {
    keys: ReadonlyArray<KeyTimes & { phases: readonly KeyPhase[] }>;
    nextRotation: number | null;
    axis: { from: number; to: number };
  };
  status: {
    activeKey: { kid: string; alg: string; activatedAt: number | null } | null;
    nextRotation: { at: number; kid: string | null } | null;
    registry: { nodes: number; unreachable: readonly string[] } | null;
    verifiers: readonly RunningVerifier[] | null;
  };
  doctor: { checks: readonly CheckReport[] };
}

export interface RunningVerifier {
  id: string;
  host: string;
  pid: number;
  /** Of jwtctl; null for a version that does not report it. */
  version: string | null;
  startedAt: number;
  heartbeatAt: number;
}

export interface CheckReport {
  check: string;
  title: string;
  result: 'ok' | 'warning' | 'error' | 'not_made';
  findings: ReadonlyArray<{ level: 'warning' | 'error'; message: string; remedy: string }>;
  /** Why the check was not made. */
  reason: string | null;
}

/** What is embedded in the page. */
export interface PageData {
  /** Of jwtctl. */
  version: string;
  /** Null for the dashboard, which reads it from the server. */
  report: Report | null;
}

/** What the dashboard gets every two seconds, for all processes of the server. */
export interface Counts {
  at: number;
  /** Whether the server can verify. */
  ready: boolean;
  /** Totals since the start, by code; `active` for accepted tokens. */
  verdicts: Readonly<Record<string, number>>;
  /** The number of verifications that took at most `leSeconds`; null for all. */
  latency: Array<{ leSeconds: number | null; count: number }>;
  verifiers: readonly RunningVerifier[] | null;
}

/** An event of the security log. */
export type ShownEvent = Pick<
  SecurityEvent,
  'id' | 'type' | 'sub' | 'jti' | 'kid' | 'issuedBefore' | 'reason' | 'at'
>;
