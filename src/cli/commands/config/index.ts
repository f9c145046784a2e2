import type { Verbs } from '../../invocation.js';

export const verbs: Verbs = {
  show: async () => (await import('./show.js')).defineShow,
  path: async () => (await import('./path.js')).definePath,
  validate: async () => (await import('./validate.js')).defineValidate,
};
