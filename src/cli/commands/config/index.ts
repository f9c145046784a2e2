import type { DefineCommand } from '../../invocation.js';
import { definePath } from './path.js';
import { defineShow } from './show.js';
import { defineValidate } from './validate.js';

export const verbs: readonly DefineCommand[] = [defineShow, definePath, defineValidate];
