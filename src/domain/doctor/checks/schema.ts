import { assertCurrent } from '../../model/schema-status.js';
import type { Check } from '../check.js';

export const schema: Check = {
  name: 'schema',
  title: 'The schema matches this version of jwtctl.',
  codes: ['ERR_SCHEMA_DAMAGED', 'ERR_SCHEMA_NEWER', 'ERR_SCHEMA_OUTDATED'],
  run: async (ports) => {
    assertCurrent(await (await ports.schema()).status());
    return [];
  },
};
