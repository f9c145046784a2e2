import type { PublishedSet } from '../../../../domain/keys/publish.js';
import type { View } from '../../view.js';

export function publishedSet({ path, changed, keys }: PublishedSet, dryRun: boolean): View {
  const kids = keys.map(({ kid }) => kid);
  const data = { published: path, changed: changed && !dryRun, keys: kids };
  return {
    shape: 'record',
    data: dryRun ? { ...data, dryRun: true, wouldChange: changed } : data,
    id: path,
    fields: [
      ['published', path],
      [dryRun ? 'would change' : 'changed', changed ? { text: 'yes', tone: 'good' } : 'no'],
      ['keys', kids.join(', ')],
    ],
  };
}
