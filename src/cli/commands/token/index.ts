import type { DefineCommand } from '../../invocation.js';
import { defineDecode } from './decode.js';
import { defineExplain } from './explain.js';
import { defineIssue } from './issue.js';
import { defineList } from './list.js';
import { defineRegister } from './register.js';
import { defineRevoke } from './revoke.js';
import { defineVerify } from './verify.js';

export const verbs: readonly DefineCommand[] = [
  defineIssue,
  defineRegister,
  defineDecode,
  defineVerify,
  defineExplain,
  defineList,
  defineRevoke,
];
