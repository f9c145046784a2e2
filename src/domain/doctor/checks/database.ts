import { type Check, fault } from '../check.js';

export const database: Check = {
  name: 'database',
  title: 'The database answers, and accepts writes.',
  run: async (ports) => {
    const opened = await ports.database();
    const server = await opened.server();
    await opened.heads();
    return server?.isReadOnly === true
      ? [fault('The MySQL server is read-only.', 'Point `mysql.url` at the primary server.')]
      : [];
  },
};
