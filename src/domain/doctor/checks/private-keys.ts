import { openPrivateKey } from '../../keys/open-private-key.js';
import { JwtctlError } from '../../shared/errors.js';
import { type Check, errorFinding, type Finding } from '../check.js';
import { readableKeys } from '../key-status.js';

export const privateKeys: Check = {
  name: 'private-keys',
  title: 'Each private key opens with the keyring of this host, and matches its public key.',
  run: async (ports) => {
    const keys = (await readableKeys(ports)).filter(({ masterKeyId }) => masterKeyId !== null);
    if (keys.length === 0) return [];
    const [database, sealer] = await Promise.all([ports.database(), ports.sealer()]);
    const findings: Finding[] = [];
    // In turn, because a vault may limit the rate.
    for (const key of keys) {
      try {
        await openPrivateKey({ database, sealer }, key);
      } catch (error) {
        if (!(error instanceof JwtctlError)) throw error;
        const finding = errorFinding(error);
        findings.push({ ...finding, message: `Key ${key.kid} (${key.state}): ${finding.message}` });
      }
    }
    return findings;
  },
};
