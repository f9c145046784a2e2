import type { DefineCommand } from '../../invocation.js';
import { defineFollow } from './follow.js';

export const verbs: readonly DefineCommand[] = [defineFollow];
