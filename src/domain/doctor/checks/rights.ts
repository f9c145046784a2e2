import { type Check, fault, warning } from '../check.js';

export const rights: Check = {
  name: 'rights',
  title: 'The accounts of MySQL and Redis have the rights that jwtctl needs, and no more.',
  run: async (ports) => {
    const accounts = await ports.accountRights();
    if (accounts.length === 0) return { notMade: 'The embedded store has no accounts.' };
    return accounts.flatMap(({ account, missing, excess }) => [
      ...missing.map(({ right, statement }) =>
        fault(`${account} lacks ${right}.`, `Run as an administrator: ${statement}`),
      ),
      ...excess.map(({ right, statement }) =>
        warning(
          `${account} has more rights than jwtctl needs: ${right}.`,
          `Grant what jwtctl needs (\`jwtctl init\` shows it). Then run as an administrator: ${statement}`,
        ),
      ),
    ]);
  },
};
