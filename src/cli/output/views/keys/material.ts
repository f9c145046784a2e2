import type { SkippedKey } from '../../../../domain/key-files/collect-keys.js';
import type { SigningKey } from '../../../../domain/model/signing-key.js';
import { pluralize } from '../../../../domain/shared/pluralize.js';
import type { ListItem, View } from '../../view.js';
import { keyList, keyRecord } from './signing-key.js';

export function importedKeys(
  keys: readonly SigningKey[],
  skipped: readonly SkippedKey[],
  { isSet, dryRun, now }: { isSet: boolean; dryRun: boolean; now: number },
): View {
  const [only] = keys;
  if (!isSet && only !== undefined) return keyRecord(only, now, dryRun);
  const list = keyList(keys, now, dryRun);
  return { ...list, items: [...list.items, ...skipped.map(skippedItem)] };
}

function skippedItem({ kid, error: { code, message } }: SkippedKey): ListItem {
  return {
    data: { kid, error: { code, message } },
    id: [],
    row: [kid ?? '-', { text: 'skipped', tone: 'warn' }, ...['-', '-', '-', '-', '-', '-']],
  };
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
