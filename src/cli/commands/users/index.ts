import type { DefineCommand } from '../../invocation.js';
import { defineAdd } from './add.js';
import { defineDisable } from './disable.js';
import { defineEnable } from './enable.js';
import { defineImport } from './import.js';
import { defineList } from './list.js';
import { defineRefresh } from './refresh.js';
import { defineRemove } from './remove.js';
import { defineShow } from './show.js';

export const verbs: readonly DefineCommand[] = [
  defineAdd,
  defineList,
  defineShow,
  defineDisable,
  defineEnable,
  defineRemove,
  defineRefresh,
  defineImport,
];
