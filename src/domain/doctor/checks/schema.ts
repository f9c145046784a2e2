import { type Check, fault } from '../check.js';

export const schema: Check = {
  name: 'schema',
  title: 'The schema matches this version of jwtctl.',
  run: async (ports) => {
    const { pending, unknown } = await (await ports.schema()).status();
    return [
      ...(pending.length === 0
        ? []
        : [fault(`Migrations are pending: ${pending.join(', ')}.`, 'Run `jwtctl db migrate`.')]),
      ...(unknown.length === 0
        ? []
        : [
            fault(
              `A newer version of jwtctl migrated the database: ${unknown.join(', ')}.`,
              'Update jwtctl on this host.',
            ),
          ]),
    ];
  },
};
