// @ts-check
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { subjectName } from './tokens.mjs';

/**
 * Has the product issue tokens to users that it makes, each subject as often as any other.
 *
 * @param {{ product: import('./product.mjs').Product, folder: string }} installation
 * @param {{ tokens: number, subjects: number }} sizes
 * @param {readonly string[]} [flags] more flags of `token issue`
 * @returns {Promise<string[]>}
 */
export async function issueTokens({ product, folder }, { tokens, subjects }, flags = []) {
  const file = join(folder, 'subs');
  const subs = Array.from({ length: tokens }, (_, index) => subjectName(index % subjects));
  writeFileSync(file, `${subs.join('\n')}\n`);
  const { stdout } = await product.run(['token', 'issue', '--sub-file', file, '--create-user', ...flags]);
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line).token);
}
