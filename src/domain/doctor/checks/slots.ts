import { type Check, fault } from '../check.js';
import { judgeNodes } from '../redis-nodes.js';

const SLOTS = 16_384;

export const slots: Check = {
  name: 'slots',
  title: 'Masters that respond serve all hash slots.',
  run: (ports) =>
    judgeNodes(ports, (nodes) => {
      const masters = nodes.filter(({ role }) => role === 'master');
      const isCluster = masters.some((master) => master.slots !== null);
      const served = masters.reduce((sum, master) => sum + (master.slots ?? 0), 0);
      const away = masters.filter(({ reachable }) => !reachable);
      return [
        ...away.map(({ node }) =>
          fault(
            `The master ${node} does not respond.`,
            'Check the server, and the network between this host and it.',
          ),
        ),
        ...(!isCluster || served === SLOTS
          ? []
          : [
              fault(
                `No master serves ${SLOTS - served} of the ${SLOTS} hash slots.`,
                'Find the unassigned slots with `redis-cli cluster nodes`, and assign them to a master.',
              ),
            ]),
      ];
    }),
};
