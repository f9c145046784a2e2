import type { RegistryNode } from '../../../../domain/ports/index.js';
import {
  evicts,
  FULL_SHARE,
  isFilling,
  lacksReplica,
  SAFE_POLICY,
} from '../../../../domain/registry/node-faults.js';
import { numberColumn, plainColumn, shortenedColumn } from '../../columns.js';
import { groupedOrDash, share, size } from '../../number-format.js';
import type { Cell, JsonObject, ListView } from '../../view.js';

export function registryNodes(nodes: readonly RegistryNode[]): ListView {
  return {
    shape: 'list',
    columns: [
      shortenedColumn('node'),
      'role',
      numberColumn('slots', 3),
      numberColumn('keys', 2),
      numberColumn('memory', 4),
      numberColumn('of max'),
      numberColumn('lag', 5),
      plainColumn('policy', 1),
    ],
    empty: 'There are no nodes.',
    items: nodes.map((node) => ({ id: node.node, data: nodeData(node), row: nodeRow(node, nodes) })),
  };
}

export function nodeNotes(nodes: readonly RegistryNode[]): string[] {
  const evicting = nodes.filter(evicts).map(({ node }) => node);
  return [
    ...nodes
      .filter((node) => lacksReplica(node, nodes))
      .map(({ node }) => `The master ${node} has no reachable replica. If it fails, its tokens are lost.`),
    ...nodes.filter(isFilling).map(fillNote),
    ...nodes
      .filter(({ warnings }) => warnings.includes('tracking_table_full'))
      .map(
        ({ node }) =>
          `${node} tracks as many keys as tracking-table-max-keys allows, so near caches lose verdicts. Raise the limit above the number of active users.`,
      ),
    ...(evicting.length === 0
      ? []
      : [
          `${evicting.join(', ')} may drop live tokens when memory is full. Set maxmemory-policy to ${SAFE_POLICY}.`,
        ]),
  ];
}

function fillNote({ node, usedMemoryBytes, maxmemoryBytes, warnings }: RegistryNode): string {
  const used = share(usedMemoryBytes ?? 0, maxmemoryBytes ?? 1);
  return warnings.includes('memory_full')
    ? `${node} has reached its maxmemory (${used}) and registers no new tokens. Raise maxmemory, or add masters.`
    : `${node} uses ${used} of its maxmemory. At 100 %, it registers no new tokens. Raise maxmemory, or add masters.`;
}

function nodeRow(node: RegistryNode, nodes: readonly RegistryNode[]): Cell[] {
  const { usedMemoryBytes, maxmemoryBytes, maxmemoryPolicy, lagBytes } = node;
  return [
    node.role === 'replica' ? `└ ${node.node}` : node.node,
    roleCell(node, nodes),
    groupedOrDash(node.slots),
    groupedOrDash(node.keys),
    size(usedMemoryBytes),
    maxmemoryBytes === null || usedMemoryBytes === null ? '-' : fillCell(usedMemoryBytes, maxmemoryBytes),
    size(lagBytes),
    evicts(node) ? { text: maxmemoryPolicy ?? '', tone: 'bad' } : (maxmemoryPolicy ?? '-'),
  ];
}

function roleCell(node: RegistryNode, nodes: readonly RegistryNode[]): Cell {
  if (!node.reachable) return { text: `${node.role}, unreachable`, tone: 'bad' };
  return lacksReplica(node, nodes) ? { text: 'master, no replica', tone: 'warn' } : node.role;
}

function fillCell(used: number, max: number): Cell {
  const text = share(used, max);
  const fill = used / max;
  return fill < 0.8 ? text : { text, tone: fill < FULL_SHARE ? 'warn' : 'bad' };
}

function nodeData(node: RegistryNode): JsonObject {
  const { role, master, slots, keys, usedMemoryBytes, maxmemoryBytes, maxmemoryPolicy, lagBytes } = node;
  return {
    ...{ node: node.node, role, master, slots, keys, usedMemoryBytes, maxmemoryBytes, maxmemoryPolicy },
    ...{ lagBytes, reachable: node.reachable, warnings: [...node.warnings] },
  };
}
