import type { Action, DefineCommand } from '../../invocation.js';
import { EXIT } from '../../output/exit-code.js';
import { nodeNotes, registryNodes } from '../../output/views/cache/nodes.js';

export const defineNodes: DefineCommand = (group, run) => {
  group
    .command('nodes')
    .description(
      'List the servers behind the registry, and their problems.\n\nWarns of eviction, missing replicas, and full memory.',
    )
    .examples('jwtctl cache nodes', 'jwtctl cache nodes --json')
    .action(run(nodes));
};

const nodes: Action<object, []> = async ({ context: open }) => {
  const registry = await (await open()).registry();
  const found = await registry.nodes();
  const away = found.filter(({ reachable }) => !reachable);
  return {
    view: registryNodes(found),
    exitCode: away.length === 0 ? EXIT.done : EXIT.partial,
    warnings: away.map(({ node, role }) => `Not reached: the ${role} ${node}.`),
    notes: nodeNotes(found),
  };
};
