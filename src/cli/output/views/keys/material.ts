import type { SigningKey } from '../../../../domain/model/signing-key.js';
import { pluralize } from '../../pluralize.js';
import type { View } from '../../view.js';
import { keyList, keyRecord } from './signing-key.js';

export function importedKeys(
  keys: readonly SigningKey[],
  { isSet, dryRun, now }: { isSet: boolean; dryRun: boolean; now: number },
): View {
  const [only] = keys;
  return isSet || only === undefined ? keyList(keys, now, dryRun) : keyRecord(only, now, dryRun);
}

export function privateExport(
  { file, format, kids }: { file: string; format: string; kids: readonly string[] },
  dryRun: boolean,
): View {
  const data = { file, format, kids: [...kids] };
  if (!dryRun) return { shape: 'text', data, text: file };
  const text = `Would write ${pluralize(kids.length, 'private key')} to ${file}.`;
  return { shape: 'text', data: { ...data, dryRun: true }, text };
}
