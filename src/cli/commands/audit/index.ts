import type { Verbs } from '../../invocation.js';

export const verbs: Verbs = {
  list: async () => (await import('./list.js')).defineList,
  verify: async () => (await import('./verify.js')).defineVerify,
  export: async () => (await import('./export.js')).defineExport,
  prune: async () => (await import('./prune.js')).definePrune,
};
