import type { Verbs } from '../../invocation.js';

export const verbs: Verbs = {
  add: async () => (await import('./add.js')).defineAdd,
  list: async () => (await import('./list.js')).defineList,
  show: async () => (await import('./show.js')).defineShow,
  disable: async () => (await import('./disable.js')).defineDisable,
  enable: async () => (await import('./enable.js')).defineEnable,
  remove: async () => (await import('./remove.js')).defineRemove,
  refresh: async () => (await import('./refresh.js')).defineRefresh,
  import: async () => (await import('./import.js')).defineImport,
};
