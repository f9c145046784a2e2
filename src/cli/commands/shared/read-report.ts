import type { Context } from '../../../app/context.js';
import { runChecks } from '../../../domain/doctor/check.js';
import { CHECKS } from '../../../domain/doctor/checks/index.js';
import { readStatus } from '../../../domain/doctor/read-status.js';
import { inspectRegistry } from '../../../domain/inspection/inspect.js';
import { keyTimeline, phasesOf, timeAxis } from '../../../domain/keys/timeline.js';
import type { Report } from '../../../page/page-data.js';
import type { Invocation, ReportProgress } from '../../invocation.js';
import { inspectionData } from '../../output/views/cache/inspect.js';
import { doctorReport } from '../../output/views/doctor.js';
import { installationStatus } from '../../output/views/status.js';
import { doctorPorts } from './doctor-ports.js';

/**
 * Reads what the page shows, with one walk of the registry.
 *
 * @param top the number of subjects to list
 * @param leaveOut the names of checks that are not made; without `entries`, no subject is looked up
 * @throws JwtctlError if the keys or the registry cannot be read
 */
export async function readReport(
  context: Context,
  sources: Pick<Invocation, 'configSources' | 'signal'>,
  {
    top,
    onProgress,
    leaveOut = [],
  }: { top: number; onProgress?: ReportProgress; leaveOut?: readonly string[] },
): Promise<Report> {
  const { settings, clock } = context;
  const [{ database, registry }, users] = await Promise.all([context.administration(), context.users()]);
  const { keys } = await database.keys.snapshot();
  const at = clock.now();
  const { clockTolerance, maxTtl } = settings.token;
  const inspection = await inspectRegistry(registry, keys, {
    ...{ now: at, top, clockToleranceSeconds: clockTolerance, signal: sources.signal, onProgress },
    ...(leaveOut.includes('entries') ? {} : { deep: { users } }),
  });
  const ports = { ...doctorPorts(context, sources), inspection };
  const [status, checks] = await Promise.all([
    readStatus(ports, ports.policy, { signal: sources.signal }),
    runChecks(
      CHECKS.filter(({ name }) => !leaveOut.includes(name)),
      ports,
    ),
  ]);
  const timeline = keyTimeline(keys, { ...ports.policy, maxTtlSeconds: maxTtl }, at);
  const axis = timeAxis(timeline, at);
  // Views name each field, so that no new one leaks a secret.
  return {
    at,
    inspection: inspectionData(inspection),
    timeline: {
      keys: timeline.keys.map((key) => ({ ...key, phases: phasesOf(key) })),
      nextRotation: timeline.nextRotation,
      axis: { from: axis.from, to: axis.to },
    },
    status: installationStatus(status, settings).data,
    doctor: doctorReport(checks).data,
  };
}
