import { Option } from 'commander';
import { waitForVerifiers } from '../../../domain/fleet/wait-for-verifiers.js';
import type { Invocation } from '../../invocation.js';
import { EXIT } from '../../output/exit-code.js';
import type { Outcome, View } from '../../output/view.js';
import {
  acknowledgementNotes,
  acknowledgementWarnings,
  withAcknowledgement,
} from '../../output/views/fleet.js';
import { durationFlag } from './flags.js';

export interface FleetFlags {
  /** Seconds. */
  waitFleet?: number;
}

export function waitFleetOption(): Option {
  return new Option(
    '--wait-fleet [duration]',
    'wait up to this long for running verifiers to read the change, and list those that have not (default: 10s)',
  )
    .preset('10s')
    .argParser(durationFlag);
}

export async function afterFleet(
  { context: open, globals, progress, signal }: Invocation,
  { waitFleet: timeoutSeconds }: FleetFlags,
  eventId: number | null,
  outcome: Outcome & { view: Extract<View, { shape: 'record' | 'report' }> },
): Promise<Outcome> {
  if (timeoutSeconds === undefined || globals.dryRun) return outcome;
  const { registry, clock, settings } = await open();
  const shown = await progress('Waiting for verifiers');
  const acknowledgement = await waitForVerifiers({ openRegistry: registry, clock }, eventId, {
    timeoutSeconds,
    signal,
    onLook: ({ acknowledged, verifiers }) => shown.update(acknowledged, verifiers),
  }).finally(() => shown.clear());
  const warnings = acknowledgementWarnings(acknowledgement, {
    timeoutSeconds,
    clockToleranceSeconds: settings.token.clockTolerance,
  });
  return {
    ...outcome,
    view: withAcknowledgement(outcome.view, acknowledgement),
    exitCode: warnings.length === 0 ? (outcome.exitCode ?? EXIT.done) : EXIT.partial,
    notes: [...(outcome.notes ?? []), ...acknowledgementNotes(acknowledgement)],
    warnings: [...(outcome.warnings ?? []), ...warnings],
  };
}
