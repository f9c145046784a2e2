import type { Check } from '../check.js';

export const userTable: Check = {
  name: 'users',
  title: 'The users can be read with the `users.*` settings.',
  run: async (ports) => {
    const users = await ports.users();
    await users.check?.();
    await users.find('jwtctl');
    return [];
  },
};
