import type { Verbs } from '../../invocation.js';

export const verbs: Verbs = {
  inspect: async () => (await import('./inspect.js')).defineInspect,
  get: async () => (await import('./get.js')).defineGet,
  nodes: async () => (await import('./nodes.js')).defineNodes,
  flush: async () => (await import('./flush.js')).defineFlush,
  snapshot: async () => (await import('./snapshot.js')).defineSnapshot,
  restore: async () => (await import('./restore.js')).defineRestore,
  reconcile: async () => (await import('./reconcile.js')).defineReconcile,
};
