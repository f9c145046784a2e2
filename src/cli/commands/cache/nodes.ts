import type { Action, DefineCommand } from '../../invocation.js';
import { EXIT } from '../../output/exit-code.js';
import { nodeNotes, registryNodes } from '../../output/views/cache/nodes.js';
import { addListFlags, type ListFlags, listOutcome } from '../shared/list-flags.js';

export const defineNodes: DefineCommand = (group, run) => {
  addListFlags(group.command('nodes'), 'node or role')
    .description(
      'List the servers behind the registry, and their problems.\n\nWarns of eviction, missing replicas, and full memory.',
    )
    .examples('jwtctl cache nodes', 'jwtctl cache nodes --json')
    .action(run(nodes));
};

const nodes: Action<ListFlags, []> = async ({ context: open, globals }, flags) => {
  const registry = await (await open({ migratesEmbedded: false })).registry();
  const found = await registry.nodes();
  const away = found.filter(({ reachable }) => !reachable);
  const exitCode = away.length === 0 ? EXIT.done : EXIT.partial;
  return {
    ...listOutcome(registryNodes(found), flags, globals, ['node', 'role'], exitCode),
    warnings: away.map(({ node, role }) => `Not reached: the ${role} ${node}.`),
    notes: nodeNotes(found),
  };
};
