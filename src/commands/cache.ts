import { defineCacheFlush } from './cache-flush.js';
import { defineCacheInspection } from './cache-inspect.js';
import { defineCacheManifests } from './cache-manifest.js';
import { defineCacheReconcile } from './cache-reconcile.js';
import type { DefineGroup } from './invocation.js';

export const defineCache: DefineGroup = (group, run) => {
  defineCacheInspection(group, run);
  defineCacheFlush(group, run);
  defineCacheManifests(group, run);
  defineCacheReconcile(group, run);
};
