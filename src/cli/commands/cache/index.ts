import type { DefineCommand } from '../../invocation.js';
import { defineFlush } from './flush.js';
import { defineGet } from './get.js';
import { defineInspect } from './inspect.js';
import { defineNodes } from './nodes.js';
import { defineReconcile } from './reconcile.js';
import { defineRestore } from './restore.js';
import { defineSnapshot } from './snapshot.js';

export const verbs: readonly DefineCommand[] = [
  defineInspect,
  defineGet,
  defineNodes,
  defineFlush,
  defineSnapshot,
  defineRestore,
  defineReconcile,
];
