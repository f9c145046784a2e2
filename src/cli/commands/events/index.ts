import type { Verbs } from '../../invocation.js';

export const verbs: Verbs = {
  follow: async () => (await import('./follow.js')).defineFollow,
  deliver: async () => (await import('./deliver.js')).defineDeliver,
};
