import { evicts, SAFE_POLICY } from '../../registry/node-faults.js';
import { type Check, fault } from '../check.js';
import { judgeNodes } from '../redis-nodes.js';

export const eviction: Check = {
  name: 'eviction',
  title: `No Redis server evicts tokens: maxmemory-policy is ${SAFE_POLICY}.`,
  run: (ports) =>
    judgeNodes(ports, (nodes) =>
      nodes
        .filter(evicts)
        .map(({ node, maxmemoryPolicy }) =>
          fault(
            `${node} may drop live tokens when its memory is full: maxmemory-policy is ${maxmemoryPolicy}.`,
            `Set maxmemory-policy to ${SAFE_POLICY}.`,
          ),
        ),
    ),
};
