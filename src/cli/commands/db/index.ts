import type { DefineCommand } from '../../invocation.js';
import { defineMigrate } from './migrate.js';
import { defineRecover } from './recover.js';
import { defineStatus } from './status.js';

export const verbs: readonly DefineCommand[] = [defineMigrate, defineRecover, defineStatus];
