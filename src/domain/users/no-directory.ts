import type { User, UserDirectory } from '../ports/index.js';

/** The directory for `users.source: off`: every subject exists and is enabled. */
export const noDirectory: UserDirectory = {
  find: async (sub) => enabled(sub),
  findMany: async (subs) => new Map(subs.map((sub) => [sub, enabled(sub)])),
  list: async function* (): AsyncGenerator<User> {},
};

function enabled(sub: string): User {
  return { sub, name: null, status: 'enabled', version: 0, createdAt: null, updatedAt: null };
}
