import type { Verbs } from '../../invocation.js';

export const verbs: Verbs = {
  generate: async () => (await import('./generate.js')).defineGenerate,
  list: async () => (await import('./list.js')).defineList,
  show: async () => (await import('./show.js')).defineShow,
  rotate: async () => (await import('./rotate.js')).defineRotate,
  activate: async () => (await import('./activate.js')).defineActivate,
  usage: async () => (await import('./usage.js')).defineUsage,
  retire: async () => (await import('./retire.js')).defineRetire,
  compromise: async () => (await import('./compromise.js')).defineCompromise,
  purge: async () => (await import('./purge.js')).definePurge,
  import: async () => (await import('./import.js')).defineImport,
  export: async () => (await import('./export.js')).defineExport,
  publish: async () => (await import('./publish.js')).definePublish,
  rewrap: async () => (await import('./rewrap.js')).defineRewrap,
};
