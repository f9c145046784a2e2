import { isFilling } from '../../registry/node-faults.js';
import { type Check, fault, warning } from '../check.js';
import { judgeNodes } from '../redis-nodes.js';

export const memory: Check = {
  name: 'memory',
  title: 'The masters have memory left, and near caches lose no verdicts.',
  run: (ports) =>
    judgeNodes(ports, (nodes) =>
      nodes.flatMap((node) => [
        ...(node.warnings.includes('memory_full')
          ? [
              fault(
                `${node.node} has reached its maxmemory, and registers no new tokens.`,
                'Raise maxmemory, or add masters.',
              ),
            ]
          : isFilling(node)
            ? [warning(`${node.node} has almost reached its maxmemory.`, 'Raise maxmemory, or add masters.')]
            : []),
        ...(node.warnings.includes('tracking_table_full')
          ? [
              warning(
                `${node.node} tracks as many keys as tracking-table-max-keys allows, so near caches lose verdicts.`,
                'Raise tracking-table-max-keys above the number of active users.',
              ),
            ]
          : []),
      ]),
    ),
};
