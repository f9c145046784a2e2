import { type CompromiseReport, compromiseKey } from '../../../domain/keys/compromise.js';
import { requireKey } from '../../../domain/keys/find-key.js';
import { asSentence, parseReason } from '../../../domain/shared/text.js';
import type { Action, DefineCommand } from '../../invocation.js';
import { EXIT } from '../../output/exit-code.js';
import { compromiseReport, isComplete, unfinishedWork } from '../../output/views/keys/compromise.js';
import { NOT_PRE_PUBLISHED } from '../../output/views/keys/rotation.js';
import { confirmEnding } from '../shared/confirm-ending.js';
import { afterFleet, type FleetFlags, waitFleetOption } from '../shared/fleet-wait.js';
import { keyPorts } from '../shared/key-ports.js';
import { lifetimePolicy } from '../shared/lifetime-policy.js';

export const defineCompromise: DefineCommand = (group, run) => {
  group
    .command('compromise')
    .argument('<kid>', 'key ID')
    .description(
      'End a leaked key and every token signed with it.\n\nThe key is refused at once, another key becomes active, and all tokens of the key are removed from the registry. The registry is then counted to confirm that none is left. Asks for confirmation.',
    )
    .requiredOption(
      '--reason <text>',
      'what happened; recorded in the security log and the audit log',
      parseReason,
    )
    .addOption(waitFleetOption())
    .examples(
      "jwtctl keys compromise 2026-q1 --reason 'found in a public repository'",
      'jwtctl keys compromise 2026-q1 --reason leaked --dry-run',
    )
    .action(run(compromise));
};

const compromise: Action<{ reason: string } & FleetFlags, [string]> = async (invocation, flags, kid) => {
  const { context: open, globals, signal, withProgress } = invocation;
  const context = await open();
  const { settings } = context;
  const ports = await keyPorts(context);
  const { dryRun } = globals;
  const input = {
    kid,
    reason: flags.reason,
    policy: { ...lifetimePolicy(settings), publishLeadSeconds: settings.keys.publishLead },
    alg: settings.keys.algorithm,
    bits: settings.keys.bits,
    signal,
  };
  await requireKey(ports.database, kid);
  const count = async (limited: AbortSignal) => {
    const { entries } = await withProgress('Counting', (onProgress) =>
      compromiseKey(ports, { ...input, dryRun: true, signal: limited, onProgress }),
    );
    return { tokens: entries.before, subjects: entries.subjects, complete: entries.complete };
  };
  await confirmEnding(invocation, `Compromise key ${kid} permanently?`, count, {
    always: true,
  });
  const report = await withProgress(dryRun ? 'Counting' : 'Removing, then counting', (onProgress) =>
    compromiseKey(ports, { ...input, dryRun, onProgress }),
  );
  return afterFleet(invocation, flags, report.eventId, {
    view: compromiseReport(report, dryRun),
    exitCode: isComplete(report, dryRun) ? EXIT.done : EXIT.partial,
    notes: dryRun ? [] : compromiseNotes(report),
    warnings: compromiseWarnings(report, dryRun),
  });
};

function compromiseNotes(report: CompromiseReport): string[] {
  return [
    ...(report.isNotPrePublished && report.active !== null ? [NOT_PRE_PUBLISHED] : []),
    'Verifiers that use only a JWK Set trust the key until they fetch the set again.',
  ];
}

function compromiseWarnings(report: CompromiseReport, dryRun: boolean): string[] {
  const missing = unfinishedWork(report).map((text) =>
    asSentence(`${dryRun ? 'Not read' : 'Incomplete'}: ${text}`),
  );
  if (dryRun || missing.length === 0) return missing;
  return [
    ...missing,
    ...(report.openFailure === null
      ? []
      : [
          'Add the master key of the active key to the keyring, or run `jwtctl keys rotate --now` to sign with another key.',
        ]),
    'The key is already refused. To finish the rest, run the same command again when all servers can be reached.',
  ];
}
