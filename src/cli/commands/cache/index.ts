import type { DefineGroup } from '../../invocation.js';
import { defineCacheBackups } from './backup.js';
import { defineCacheFlush } from './flush.js';
import { defineCacheInspection } from './inspect.js';
import { defineCacheReconcile } from './reconcile.js';

export const defineCache: DefineGroup = (group, run) => {
  defineCacheInspection(group, run);
  defineCacheFlush(group, run);
  defineCacheBackups(group, run);
  defineCacheReconcile(group, run);
};
