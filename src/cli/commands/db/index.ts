import type { Verbs } from '../../invocation.js';

export const verbs: Verbs = {
  migrate: async () => (await import('./migrate.js')).defineMigrate,
  recover: async () => (await import('./recover.js')).defineRecover,
  status: async () => (await import('./status.js')).defineStatus,
};
