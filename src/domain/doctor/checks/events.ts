import { JwtctlError } from '../../shared/errors.js';
import { type Check, errorFinding, fault, warning } from '../check.js';
import { deliveryFindings, readBacklog } from '../delivery-findings.js';

export const events: Check = {
  name: 'events',
  title: '`hooks.command` can be run, and gets the events in time.',
  run: async (ports) => {
    const backlog = await readBacklog(ports).catch((error: unknown) => {
      if (error instanceof JwtctlError && POSITION_LOST.has(error.code)) return error;
      throw error;
    });
    if (backlog === null) return { notMade: '`hooks.command` is not set.' };
    const isLost = backlog instanceof JwtctlError;
    const findings = isLost ? [errorFinding(backlog)] : deliveryFindings(backlog, ports.clock.now());
    const problem = await ports.hookProblem();
    if (problem === null) return findings;
    // Another host may deliver, and this one may never have to.
    const judge = !isLost && backlog.isLeased && findings.length === 0 ? warning : fault;
    const remedy = 'Fix that, or set `hooks.command` (JWTCTL_HOOKS_COMMAND) to another command.';
    return [judge(`\`hooks.command\` cannot run on this host: ${problem}.`, remedy), ...findings];
  },
};

const POSITION_LOST: ReadonlySet<string> = new Set(['ERR_POSITION_PRUNED', 'ERR_POSITION_UNKNOWN']);
