import { isTrusted } from '../model/signing-key.js';
import type { Sealer } from '../ports/index.js';
import { type ErrorCode, JwtctlError } from '../shared/errors.js';
import { type KeyUpdatePorts, untilUndisturbed } from './update-keys.js';

export interface RewrappingPorts extends KeyUpdatePorts {
  sealer: Sealer;
}

export interface RewrapReport {
  masterKeyId: string;
  rewrapped: string[];
  unchanged: string[];
  failed: Array<{ kid: string; code: ErrorCode; message: string; hint: string | undefined }>;
  /** Kids not reached because of an interruption. */
  left: string[];
}

/** Seals each private key under the keyring's first master key, in one guarded write. Safe to repeat. */
export async function rewrapKeys(
  ports: RewrappingPorts,
  { dryRun, signal }: { dryRun: boolean; signal?: AbortSignal },
): Promise<RewrapReport> {
  const masterKeyId = await ports.sealer.sealingKeyId();
  const report: RewrapReport = { masterKeyId, rewrapped: [], unchanged: [], failed: [], left: [] };
  const { keys } = await ports.database.keys.snapshot();
  for (const { kid } of keys.filter(({ state }) => isTrusted(state))) {
    if (signal?.aborted) {
      report.left.push(kid);
      continue;
    }
    try {
      const outcome = await rewrapKey(ports, kid, masterKeyId, dryRun);
      if (outcome !== 'none') report[outcome].push(kid);
    } catch (error) {
      // A key that does not open does not affect the others; an unreachable store or vault does.
      if (!(error instanceof JwtctlError) || error.kind !== 'state') throw error;
      const { code, message, hint } = error;
      report.failed.push({ kid, code, message, hint });
    }
  }
  return report;
}

async function rewrapKey(
  { database, sealer, clock, actor }: RewrappingPorts,
  kid: string,
  masterKeyId: string,
  dryRun: boolean,
): Promise<'rewrapped' | 'unchanged' | 'none'> {
  return untilUndisturbed(async () => {
    const sealed = await database.keys.findSealed(kid);
    if (sealed === null) return { outcome: 'none' };
    // Read from the JWE: the column beside it may be wrong.
    const from = sealer.openingKeyId(kid, sealed);
    if (from === masterKeyId) return { outcome: 'unchanged' };
    const by = await sealer.seal(kid, await sealer.open(kid, sealed));
    if (dryRun) return { outcome: 'rewrapped' };
    return database.transaction(async ({ keys, auditLog }) => {
      if (!(await keys.reseal(kid, sealed, by))) return null;
      const reason = `from ${from} to ${by.masterKeyId}`;
      const row = { actor, action: 'keys.rewrap', target: kid, outcome: 'done', reason };
      await auditLog.append({ ...row, at: clock.now() });
      return { outcome: 'rewrapped' };
    });
  });
}
