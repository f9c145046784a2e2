import { type Check, fault } from '../check.js';
import { deliveryFindings } from '../delivery-findings.js';

export const events: Check = {
  name: 'events',
  title: '`hooks.command` can be run, and gets the events within five minutes.',
  run: async (ports) => {
    const findings = await deliveryFindings(ports);
    if (findings === null) return { notMade: '`hooks.command` is not set.' };
    const problem = await ports.hookProblem();
    if (problem === null) return findings;
    const remedy = 'Mend that, or set `hooks.command` (JWTCTL_HOOKS_COMMAND) to another command.';
    return [fault(`\`hooks.command\` cannot run on this host: ${problem}.`, remedy), ...findings];
  },
};
