import type { InspectionProgress } from '../inspection/types.js';
import type { AccountRights, Database, PublishedKeys, Sealer, UserDirectory } from '../ports/index.js';
import { ERROR_CODES, type ErrorCode } from '../shared/error-catalog/index.js';
import { JwtctlError } from '../shared/errors.js';
import type { StatusPolicy, StatusPorts } from './status-ports.js';

/** One check of `jwtctl doctor`. It changes nothing. */
export interface Check<Ports = DoctorPorts> {
  readonly name: string;
  /** What is right if the check finds nothing. */
  readonly title: string;
  /** The codes that this check reports in place of an earlier one that has the same error. */
  readonly codes?: readonly ErrorCode[];
  /** @throws JwtctlError if the check cannot be made, for example because a store is away */
  run(ports: Ports): Promise<CheckOutcome>;
}

export type CheckOutcome =
  | readonly Finding[]
  /** Why there is nothing to check here. */
  | { notMade: string };

export interface Finding {
  level: 'warning' | 'error';
  message: string;
  /** What to do. */
  remedy: string;
  code?: ErrorCode | undefined;
}

export interface DoctorPorts extends StatusPorts {
  database(): Promise<Database>;
  users(): Promise<UserDirectory>;
  sealer(): Promise<Sealer>;
  /** None for an embedded store. */
  accountRights(): Promise<readonly AccountRights[]>;
  /** Null if no URL is known. */
  publishedKeys(): Promise<PublishedKeys | null>;
  /** Returns why `hooks.command` cannot run here; null if no reason is known. */
  hookProblem(): Promise<string | null>;
  /** Judges the settings and the files that they name. */
  configuration(): Promise<{ problems: readonly JwtctlError[]; warnings: readonly string[] }>;
  readonly policy: StatusPolicy;
  readonly signal: AbortSignal;
  onProgress?: ((progress: InspectionProgress) => void) | undefined;
}

export interface CheckResult {
  check: Pick<Check, 'name' | 'title'>;
  findings: readonly Finding[];
  /** Null for a check that was made. */
  notMade: string | null;
}

/** Makes all checks at the same time. An error that ends several checks is a finding of one of them only. */
export async function runChecks<Ports>(
  checks: ReadonlyArray<Check<Ports>>,
  ports: Ports,
): Promise<CheckResult[]> {
  const outcomes = await Promise.all(checks.map((check) => makeCheck(check, ports)));
  const reporters = new Map<string, string>();
  checks.forEach(({ name, codes = [] }, index) => {
    const outcome = outcomes[index];
    if (!(outcome instanceof JwtctlError)) return;
    if (!reporters.has(outcome.message) || codes.includes(outcome.code)) reporters.set(outcome.message, name);
  });
  return checks.map((check, index) => {
    const outcome = outcomes[index] ?? [];
    if ('notMade' in outcome) return { check, findings: [], notMade: outcome.notMade };
    if (!(outcome instanceof JwtctlError)) return { check, findings: outcome, notMade: null };
    const reporter = reporters.get(outcome.message);
    if (reporter !== check.name) return { check, findings: [], notMade: `The check \`${reporter}\` failed.` };
    return { check, findings: [errorFinding(outcome)], notMade: null };
  });
}

async function makeCheck<Ports>(check: Check<Ports>, ports: Ports): Promise<CheckOutcome | JwtctlError> {
  try {
    return await check.run(ports);
  } catch (error) {
    if (!(error instanceof JwtctlError) || error.kind === 'bug' || error.kind === 'interrupted') throw error;
    return error;
  }
}

export function errorFinding({ code, message, hint }: JwtctlError): Finding {
  return { level: 'error', message, remedy: hint ?? ERROR_CODES[code].remedy, code };
}

export function warning(message: string, remedy: string): Finding {
  return { level: 'warning', message, remedy };
}

export function fault(message: string, remedy: string): Finding {
  return { level: 'error', message, remedy };
}
