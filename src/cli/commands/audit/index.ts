import type { DefineCommand } from '../../invocation.js';
import { defineExport } from './export.js';
import { defineList } from './list.js';
import { definePrune } from './prune.js';
import { defineVerify } from './verify.js';

export const verbs: readonly DefineCommand[] = [defineList, defineVerify, defineExport, definePrune];
