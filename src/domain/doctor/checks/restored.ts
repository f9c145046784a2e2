import type { Check } from '../check.js';

export const restored: Check = {
  name: 'restored-database',
  title: 'The database has every change that Redis knows of.',
  run: async (ports) => {
    await (await ports.guard()).assertCurrent();
    return [];
  },
};
