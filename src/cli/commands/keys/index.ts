import type { DefineCommand } from '../../invocation.js';
import { defineActivate } from './activate.js';
import { defineCompromise } from './compromise.js';
import { defineExport } from './export.js';
import { defineGenerate } from './generate.js';
import { defineImport } from './import.js';
import { defineList } from './list.js';
import { definePublish } from './publish.js';
import { definePurge } from './purge.js';
import { defineRetire } from './retire.js';
import { defineRewrap } from './rewrap.js';
import { defineRotate } from './rotate.js';
import { defineShow } from './show.js';
import { defineUsage } from './usage.js';

export const verbs: readonly DefineCommand[] = [
  defineGenerate,
  defineList,
  defineShow,
  defineRotate,
  defineActivate,
  defineUsage,
  defineRetire,
  defineCompromise,
  definePurge,
  defineImport,
  defineExport,
  definePublish,
  defineRewrap,
];
