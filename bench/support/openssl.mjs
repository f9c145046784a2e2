// @ts-check
import { requireProgram } from '../../scripts/programs.mjs';
import { runProgram } from './programs.mjs';

const OPENSSL_SECONDS = '5';

/**
 * RSA-2048 signatures a second of `openssl speed`.
 *
 * @param {number} processes
 */
export async function signaturesPerSecond(processes) {
  const { stdout } = await runProgram(requireProgram('openssl'), [
    ...['speed', '-seconds', OPENSSL_SECONDS, '-multi', String(processes), 'rsa2048'],
  ]);
  // Newer releases have more columns.
  const columns = /^.*\bsign\/s\b.*$/m.exec(stdout)?.[0].trim().split(/\s+/) ?? [];
  const values = /^rsa +2048 bits +(.*)$/m.exec(stdout)?.[1]?.trim().split(/\s+/) ?? [];
  const signatures = Number(values[columns.indexOf('sign/s')]);
  if (!(signatures > 0)) throw new Error(`openssl speed does not say how many signatures:\n${stdout}`);
  return signatures;
}
