import { lacksReplica } from '../../registry/node-faults.js';
import { type Check, warning } from '../check.js';
import { judgeNodes } from '../redis-nodes.js';

/** A replica that is further behind would lose many tokens in a failover. */
const MOST_LAG_BYTES = 1_048_576;

export const replicas: Check = {
  name: 'replicas',
  title: 'Each master has a replica that responds and is up to date.',
  run: (ports) =>
    judgeNodes(ports, (nodes) => {
      const found = nodes.filter(({ role }) => role === 'replica');
      return [
        ...nodes
          .filter((node) => lacksReplica(node, nodes))
          .map(({ node }) =>
            warning(
              `The master ${node} has no replica that responds. If it fails, its tokens are lost.`,
              'Start its replica, or add one.',
            ),
          ),
        ...found
          .filter(({ reachable }) => !reachable)
          .map(({ node }) => warning(`The replica ${node} does not respond.`, 'Check the server.')),
        ...found
          .filter(({ lagBytes }) => (lagBytes ?? 0) > MOST_LAG_BYTES)
          .map(({ node, lagBytes }) =>
            warning(
              `The replica ${node} is ${lagBytes} bytes behind its master.`,
              'Check its network and its load.',
            ),
          ),
      ];
    }),
};
