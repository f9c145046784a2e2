import type { Verbs } from '../../invocation.js';

export const verbs: Verbs = {
  issue: async () => (await import('./issue.js')).defineIssue,
  register: async () => (await import('./register.js')).defineRegister,
  decode: async () => (await import('./decode.js')).defineDecode,
  verify: async () => (await import('./verify.js')).defineVerify,
  explain: async () => (await import('./explain.js')).defineExplain,
  list: async () => (await import('./list.js')).defineList,
  revoke: async () => (await import('./revoke.js')).defineRevoke,
};
